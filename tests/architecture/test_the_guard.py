"""The tests' own guard: no test speaks to another machine."""

from __future__ import annotations

import socket

import pytest

ELSEWHERE = ("192.0.2.1", 9)  # an address that is kept for documents (RFC 5737)


@pytest.mark.parametrize("call", ["connect", "connect_ex"])
def test_a_connection_to_another_machine_is_refused(call: str) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking,
        pytest.raises(AssertionError, match=r"a test asked for a connection to 192\.0\.2\.1"),
    ):
        getattr(asking, call)(ELSEWHERE)


def test_a_connection_to_this_machine_is_made() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as asking:
        assert asking.connect_ex(listening.getsockname()) == 0
