"""The process around a run: threads, optional libraries, the record of the environment."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import teliti
from teliti import runtime
from teliti.errors import MissingExtraError, RecipeError
from teliti.runtime import (
    available_cores,
    default_threads,
    environment_record,
    installed_versions,
    is_helping_process,
    is_installed,
    keep_freed_memory,
    peak_memory_bytes,
    quiet_environment,
    require,
    torch_device,
)

SOURCE = Path(teliti.__file__).parents[1]


@pytest.fixture
def quota(monkeypatch: pytest.MonkeyPatch):
    """Put a line in the place of the control group's quota; None takes the file away."""

    def set_quota(line: str | None) -> None:
        plain = Path.open

        def opened(self: Path, *args: object, **kwargs: object):
            if str(self) != "/sys/fs/cgroup/cpu.max":
                return plain(self, *args, **kwargs)
            if line is None:
                raise FileNotFoundError(str(self))
            return io.StringIO(line)

        monkeypatch.setattr(Path, "open", opened)

    monkeypatch.setattr(runtime.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    return set_quota


@pytest.mark.parametrize(
    ("line", "cores"),
    [("200000 100000\n", 2), ("max 100000\n", 8), ("50000 100000\n", 1), ("9900000 100000\n", 8), (None, 8), ("?", 8)],
)
def test_cores_are_the_affinity_bounded_by_the_quota(line: str | None, cores: int, quota) -> None:
    quota(line)
    assert available_cores() == cores


@pytest.mark.parametrize(("value", "threads"), [("3", 3), ("", 5), ("0", 5), ("many", 5), ("-2", 5)])
def test_threads_come_from_the_environment_when_it_names_a_number(
    value: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELITI_THREADS", value)
    monkeypatch.setattr(runtime, "available_cores", lambda: 5)
    assert default_threads() == threads


def test_quiet_environment_respects_what_the_user_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.delenv("OPENCV_LOG_LEVEL", raising=False)
    quiet_environment()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
    assert os.environ["OPENCV_LOG_LEVEL"] == "ERROR"
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_the_engine_tells_nobody_anything(tmp_path: Path) -> None:
    """S7: ONNX Runtime and OpenVINO make no id of this machine and no file of events to send; not even from Python."""
    suppressing = {"ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "GITHUB_ACTIONS", "TF_BUILD", "JENKINS_URL"}
    surroundings = {name: value for name, value in os.environ.items() if name not in suppressing}
    homes = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(SOURCE)}
    code = "import teliti.sessions, openvino, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run([sys.executable, "-c", code], env={**surroundings, **homes},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout == "1\n"
    assert list(tmp_path.iterdir()) == []


def test_looking_for_a_library_does_not_import_it() -> None:
    code = "import sys; from teliti.runtime import is_installed; print(is_installed('torch'), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SOURCE)},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout == "True False\n"
    assert not is_installed("no_such_library_anywhere")


def test_a_required_library_is_imported() -> None:
    assert require("json", extra="train", purpose="read") is json


def test_a_missing_library_names_the_extra_that_brings_it() -> None:
    with pytest.raises(MissingExtraError, match="no_such_library is needed to draw and is not installed") as caught:
        require("no_such_library", extra="studio", purpose="draw")
    assert caught.value.hint == 'Install it with: pip install "teliti[studio]"'


def test_a_missing_submodule_of_a_missing_library_is_a_missing_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"no_such_library\.numpy is needed"):
        require("no_such_library.numpy", extra="train", purpose="write")


def test_the_environment_record_is_json_and_says_what_a_number_needs() -> None:
    record = environment_record(threads=3)
    assert json.loads(json.dumps(record)) == record
    assert record["threads"] == 3
    assert {"python", "platform", "processor", "cores", "versions", "command"} <= set(record)
    assert {"numpy", "torch", "onnxruntime"} <= set(record["versions"])


def test_versions_of_absent_distributions_are_left_out() -> None:
    assert list(installed_versions(("numpy", "no-such-distribution"))) == ["numpy"]


def test_peak_memory_is_in_bytes() -> None:
    peak = peak_memory_bytes()
    assert peak is not None
    assert 10 * 1024**2 < peak < 1024**4


def test_asking_the_allocator_is_harmless_even_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_freed_memory()

    def no_library(_: object) -> None:
        raise OSError("none")

    monkeypatch.setattr(runtime.ctypes, "CDLL", no_library)
    keep_freed_memory()


def test_threads_have_heaps_of_their_own_and_none_gives_its_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    class Library:
        def __init__(self, _: object) -> None:
            self.mallopt = asked.__setitem__

    monkeypatch.setattr(runtime.ctypes, "CDLL", Library)
    monkeypatch.setattr(runtime, "available_cores", lambda: 6)
    keep_freed_memory()
    mmap_max, trim_threshold, arena_max = -4, -1, -8  # glibc malloc.h
    assert asked[mmap_max] == 0
    assert asked[trim_threshold] >= 512 * 1024**2
    assert asked[arena_max] == 7  # a thread for each core, and the one that loads


def test_the_first_process_speaks_and_the_others_help(monkeypatch: pytest.MonkeyPatch) -> None:
    for rank, world, helps in (("0", "2", False), ("1", "2", True), ("3", "4", True), ("0", "1", False)):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", world)
        assert is_helping_process() is helps
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    assert not is_helping_process()


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert torch_device("auto") == "cpu"
    with pytest.raises(RecipeError, match=r"train\.device must be cpu here, got cuda: torch finds no GPU"):
        torch_device("cuda")


def test_with_a_gpu_auto_takes_it_and_cpu_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert torch_device("auto") == "cuda"
    assert torch_device("cpu") == "cpu"
