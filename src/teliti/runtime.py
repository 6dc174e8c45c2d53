"""The process around a run: threads, optional libraries, the C allocator, and the record of it all."""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from teliti.errors import MissingExtraError, RecipeError

if TYPE_CHECKING:  # `teliti --help` sets the environment and must not import numpy
    from teliti.types import Record

DeviceName = Literal["cpu", "cuda"]
_RECORDED = (
    "teliti", "numpy", "opencv-contrib-python-headless", "pillow", "onnxruntime", "openvino", "onnx", "onnxscript",
    "torch", "torchvision", "timm", "scikit-learn", "safetensors",
)  # fmt: skip
CALM = {
    "OMP_WAIT_POLICY": "passive",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "OPENCV_LOG_LEVEL": "ERROR",
}
"""What numerical libraries shall find in the environment of every process."""
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -2, -4, -8  # glibc malloc.h


def available_cores() -> int:
    """The cores this process may use: the affinity mask, further limited by the control group's quota."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, min(affinity, _cgroup_cores() or affinity))


def default_threads() -> int:
    """`TELITI_THREADS` when set, else the available cores."""
    own = os.environ.get("TELITI_THREADS", "")
    return int(own) if own.isdigit() and int(own) > 0 else available_cores()


def is_helping_process() -> bool:
    """True in every process but the first of those that `torchrun` started for one training."""
    return os.environ.get("WORLD_SIZE", "1") not in {"", "1"} and os.environ.get("RANK", "0") not in {"", "0"}


def quiet_environment() -> None:
    """Set what must be set before numerical libraries load: passive OpenMP waiting, no hub, no telemetry."""
    for name, value in CALM.items():
        os.environ.setdefault(name, value)


def open_closed_streams() -> None:
    """Give a process that was started with closed streams (`>&-`) streams to nowhere.

    The next file that is opened would get the number of a closed one, and whatever a library prints would land in it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is not None:
            continue
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
        setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - until the process ends


def mute_native_stderr() -> None:
    """Send what C libraries print on descriptor 2 to nowhere; Python's own stderr goes on as before.

    Image codecs (libjpeg, libpng, libtiff) print to the descriptor about damaged photos, without the photo's name
    and in the middle of a progress bar. For a program that owns its process, never for a library call.
    """
    try:
        is_plain = sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):  # replaced by a test or a notebook, or closed
        return
    if not is_plain:
        return
    sys.stderr.flush()
    own = os.fdopen(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = own


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory in the process instead of handing it back at every step.

    Worth 1.2 to 3 times in eager torch on a CPU; a no-op where the C library has no `mallopt`. There is a heap for each
    core and one more: threads that share one wait for each other at every small request (a small network trained on
    two threads: 300 times a step, 6 % of it), and glibc asks the system anew for each block of 64 MiB or more that a
    heap other than the first one gives, so that more of them than threads only cost faults.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    for option, value in (
        (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 512 * 1024**2), (_M_TOP_PAD, 64 * 1024**2), (_M_ARENA_MAX, _heaps()),
    ):  # fmt: skip
        mallopt(option, value)


def _heaps() -> int:
    """How many the threads of this process share."""
    return available_cores() + 1


def is_installed(library: str) -> bool:
    """True when the import name can be found; nothing is imported."""
    return importlib.util.find_spec(library) is not None


def require(library: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a library of an optional extra.

    Raises:
        MissingExtraError: not installed; the sentence has the install command.
    """
    if not is_installed(library.partition(".")[0]):
        raise MissingExtraError(extra, purpose=purpose, library=library)
    return importlib.import_module(library)


def torch_device(wanted: str) -> DeviceName:
    """The device that `train.device` means here; "auto": a GPU where torch finds one.

    Raises:
        MissingExtraError: torch is not installed.
        RecipeError: a GPU is asked for and torch finds none.
    """
    has_gpu = bool(require("torch", extra="train", purpose=f"compute on device {wanted}").cuda.is_available())
    if wanted == "cuda" and not has_gpu:
        raise RecipeError("train.device must be cpu here, got cuda: torch finds no GPU.", hint="Set train.device=cpu.")
    return "cuda" if has_gpu and wanted != "cpu" else "cpu"


def is_loopback(host: str) -> bool:
    """True where every address of that name is reached from this machine alone."""
    import ipaddress
    import socket

    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(str(one).partition("%")[0]).is_loopback for one in found)


def environment_record(*, threads: int) -> Record:
    """Versions, processor, threads and command: what a number needs beside it to be repeated."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor_name(),
        "cores": available_cores(),
        "threads": threads,
        "versions": installed_versions(_RECORDED),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]] if sys.argv else [],
    }


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Version by distribution name, absent ones left out."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def peak_memory_bytes() -> int | None:
    """The process's largest resident set so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def processor_name() -> str:
    """What the processor calls itself."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _cgroup_cores() -> int | None:
    try:
        with Path("/sys/fs/cgroup/cpu.max").open(encoding="utf-8") as file:
            quota, period = file.read().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else max(1, int(quota) // int(period))
