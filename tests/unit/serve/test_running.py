"""Address and token: what may be reached from where, and with which secret."""

from __future__ import annotations

import asyncio
import gc
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from teliti.errors import MissingExtraError, UserError
from teliti.serve import running
from teliti.serve.running import TOKEN_VARIABLE, ServeOptions, choose_token, is_loopback, serve


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def test_a_random_token_on_loopback() -> None:
    first, is_random = choose_token(ServeOptions())
    assert is_random
    assert len(first) >= 40
    assert first != choose_token(ServeOptions())[0]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_other_addresses_need_a_token(host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S16: refuses to start, says why."""
    with pytest.raises(UserError, match="is reached from other machines, so a token must be given"):
        serve({"a": tmp_path}, journal=None, options=ServeOptions(host=host, port=0))
    monkeypatch.setenv(TOKEN_VARIABLE, "x" * 20)
    assert choose_token(ServeOptions(host=host)) == ("x" * 20, False)


def test_a_token_file_counts_before_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, "x" * 20)
    (tmp_path / "token").write_text("y" * 20 + "\n")
    assert choose_token(ServeOptions(token_file=tmp_path / "token")) == ("y" * 20, False)


@pytest.mark.parametrize("token", ["", "short", "x" * 600, "with\x07bell-and-more-letters"])
def test_weak_tokens(token: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(token)
    with pytest.raises(UserError, match="must have 16 to 512 printable ASCII characters"):
        choose_token(ServeOptions(token_file=tmp_path / "token"))


def test_a_token_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        choose_token(ServeOptions(token_file=tmp_path / "nothing"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "no host"])
def test_what_others_reach(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(("port", "said"), [(70000, "--port must be 0 to 65535"), (-1, "--port must be 0 to 65535")])
def test_ports_that_do_not_exist(port: int, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        serve({"a": tmp_path}, journal=None, options=ServeOptions(port=port))


def test_without_the_web_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(library: str, **said: str) -> None:
        raise MissingExtraError(said["extra"], purpose=said["purpose"], library=library)

    monkeypatch.setattr(running, "require", missing)
    with pytest.raises(MissingExtraError, match=r"fastapi is needed to answer requests.*teliti\[serve\]"):
        serve({"a": tmp_path}, journal=None)


class _Server:
    """Started at once, and ended by whoever is told that it listens."""

    def __init__(self) -> None:
        self.started = False
        self.end = asyncio.Event()

    async def serve(self, sockets: list[socket.socket]) -> None:  # noqa: ARG002 - uvicorn's name
        self.started = True
        await self.end.wait()


def test_what_a_service_consists_of_is_not_searched_for_garbage_while_it_answers() -> None:
    async def run() -> int:
        server, frozen = _Server(), []

        def on_ready() -> None:
            frozen.append(gc.get_freeze_count())
            server.end.set()

        with socket.socket() as listener:
            await running._run(server, listener, on_ready)  # type: ignore[arg-type]
        return frozen[0]

    assert asyncio.run(run()) > 10_000
    assert gc.get_freeze_count() == 0


class Connection:
    """A connection as the server keeps it: with so much of an answer unread, or waiting for a header."""

    def __init__(self, *, unread: int = 0, is_idle: bool = False, is_kept: bool = False) -> None:
        self.unread, self.is_cut, self.transport = unread, False, self
        self.cycle = None if is_idle else SimpleNamespace(response_complete=is_kept)
        self.timeout_keep_alive_task = object() if is_kept else None

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.is_cut = True


def test_whoever_sends_no_header_or_reads_no_answer_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """S13: uvicorn itself would wait for both for ever; who is slow for a moment stays."""
    silent, reader, kept_reader = Connection(is_idle=True), Connection(unread=9), Connection(unread=9, is_kept=True)
    working, kept, moment = Connection(), Connection(is_kept=True), Connection(unread=9)
    slow, others = [silent, reader, kept_reader], [working, kept, moment]
    server = SimpleNamespace(server_state=SimpleNamespace(connections=[*slow, *others]))
    seconds = [0.0]

    def monotonic() -> float:  # a look every six seconds
        seconds[0] += 6.0
        moment.unread = 0 if seconds[0] % 12.0 == 0.0 else 9
        return seconds[0]

    async def look() -> None:
        watching = asyncio.create_task(running._cut_slow(server))
        while seconds[0] < 24.0 and not watching.done():
            await asyncio.sleep(0.001)
        if watching.done():
            watching.result()  # its own error, instead of waiting for ever
        watching.cancel()

    monkeypatch.setattr(running, "_LOOK_S", 0.001)
    monkeypatch.setattr(running, "time", SimpleNamespace(monotonic=monotonic))
    asyncio.run(look())
    assert [one.is_cut for one in (*slow, *others)] == [True] * 3 + [False] * 3
