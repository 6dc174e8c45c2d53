"""Which addresses a process listens at, from the kernel's socket table."""

from __future__ import annotations

import contextlib
import ipaddress
from pathlib import Path


def listening(pid: int) -> set[str]:
    """Addresses of both families at which a process waits for TCP connections."""
    sockets = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a file that was closed meanwhile is no listening socket
            sockets.add(str(path.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            row = line.split()
            if row[3] == "0A" and f"socket:[{row[9]}]" in sockets:
                words = bytes.fromhex(row[1].partition(":")[0])  # each 32 bits as this machine's number has them
                found.add(b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4)))
    return {str(ipaddress.ip_address(address)) for address in found}
