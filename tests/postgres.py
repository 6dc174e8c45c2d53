"""A PostgreSQL server for tests: a data folder of its own, a free port of the loop-back address, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_SERVER = "no PostgreSQL server program here (Debian package: postgresql)"
_ACCOUNT = "postgres"  # initdb refuses to run as root


def find_binaries() -> Path | None:
    """The folder of initdb and pg_ctl, of the newest version where there are several."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: int(folder.parent.name), default=None)


@contextmanager
def running_server(binaries: Path) -> Iterator[str]:
    """A running server; gives the URL up to the database's name."""
    account = pwd.getpwnam(_ACCOUNT) if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="teliti-postgres-"))
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
    port = free_port()
    data, log = folder / "data", folder / "log"
    settings = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories='' -c fsync=off"

    def call(program: str, *words: str | Path) -> None:
        switch = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        with tempfile.TemporaryFile() as said:  # a pipe would stay open in the server
            result = subprocess.run(
                [str(binaries / program), *map(str, words)], stdout=said, stderr=said, cwd=folder, timeout=120,
                check=False, **switch,
            )  # fmt: skip
            said.seek(0)
            assert result.returncode == 0, said.read().decode()

    try:
        call("initdb", "-D", data, "-U", _ACCOUNT, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        call("pg_ctl", "-D", data, "-l", log, "-o", settings, "-w", "start")
        try:
            yield f"postgresql://{_ACCOUNT}@127.0.0.1:{port}"
        finally:
            call("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port of the loop-back address that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
