"""Where the processes of one training meet, and who else could.

torch's process groups have no secret: whoever reaches a port of theirs can take part, read gradients and weights, or
stop the training. Processes of one machine therefore meet and talk on its loop-back address alone. Those of several
machines meet only where the user has said that the network is theirs.
"""

from __future__ import annotations

import os
import socket

from teliti.errors import UserError
from teliti.runtime import is_loopback

TRUST = "TELITI_TRUSTED_NETWORK"
_INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def require_trust(host: str) -> None:
    """Refuse an address that other machines reach, unless the variable `TELITI_TRUSTED_NETWORK` is 1.

    Args:
        host: Where the processes are to meet.

    Raises:
        UserError: it is reached from other machines.
    """
    if not is_loopback(host) and os.environ.get(TRUST) != "1":
        raise UserError(
            f"The processes of a training must meet at a loop-back address, got {host}: other machines reach it, and "
            "torch asks nobody for a token.",
            hint=f"Where these ports are reached by your machines alone, set {TRUST}=1 on each of them.",
        )


def stay_on_this_machine() -> None:
    """Let gloo and nccl listen on the loop-back interface, where the user has not named another one."""
    loop_back = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    for variable in _INTERFACES if loop_back else ():
        os.environ.setdefault(variable, str(loop_back))


def listen_at(host: str, port: int) -> int:
    """A socket that listens at this address alone; torch's own store would listen at every one of the machine.

    Returns:
        Its descriptor, which the caller owns.

    Raises:
        UserError: the address is taken, or another machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family).detach()
    except OSError as error:
        raise UserError(
            f"The processes of a training cannot meet at {host}:{port}: {error.strerror}.",
            hint="MASTER_ADDR must be an address of the first one's machine, MASTER_PORT free there.",
        ) from error
