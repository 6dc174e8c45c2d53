"""Where the processes of a training may meet."""

from __future__ import annotations

import os
import socket

import pytest
import torch

from sockets import listening
from teliti.errors import UserError
from teliti.training.meeting import TRUST, listen_at, require_trust, stay_on_this_machine
from teliti.training.parallel import join_processes


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_a_group_at_an_outside_address_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """S16: refuses to start, says why, and listens nowhere."""
    environment = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": host, "MASTER_PORT": "29400"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(TRUST, raising=False)
    before = listening(os.getpid())
    refused = pytest.raises(UserError, match=r"other machines reach it, and torch asks nobody for a token.*TRUSTED")
    with refused, join_processes(torch.device("cpu")):
        pass
    assert listening(os.getpid()) == before
    monkeypatch.setenv(TRUST, "1")
    require_trust(host)


def test_processes_of_one_machine_stay_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.setenv(name, "")  # put back afterwards
        monkeypatch.delenv(name)
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "eth7")
    stay_on_this_machine()
    assert os.environ["GLOO_SOCKET_IFNAME"].startswith("lo")
    assert os.environ["NCCL_SOCKET_IFNAME"] == "eth7"


def test_a_meeting_place_is_one_address() -> None:
    """S16: torch's own would be every address of the machine."""
    with socket.socket(fileno=listen_at("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        assert own.getsockname()[0] == "127.0.0.1"
        with pytest.raises(UserError, match=f"cannot meet at 127.0.0.1:{port}: Address already in use"):
            listen_at("127.0.0.1", port)
