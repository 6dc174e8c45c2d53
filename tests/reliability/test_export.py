"""Files that are not what they say, a hundred thousand of them, and an export that asks nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from marks import write_marks

pytestmark = pytest.mark.reliability
TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src"
SAMPLES = TESTS / "data" / "bundles"
NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "GITHUB_ACTIONS",
                "TF_BUILD", "JENKINS_URL"}  # fmt: skip


def run_python(*words: str, **surroundings: str) -> subprocess.CompletedProcess[str]:
    """A process that sees sources and test helpers, and nothing that would switch telemetry off by itself."""
    kept = {name: value for name, value in os.environ.items() if name not in NO_TELEMETRY}
    paths = os.pathsep.join(map(str, (SOURCE, TESTS)))
    return subprocess.run(
        [sys.executable, *words], env={**kept, "PYTHONPATH": paths, **surroundings}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "count"), [("manifests", 50_000), ("photos", 40_000), ("weights", 10_000)])
def test_a_hundred_thousand_mutants(kind: str, count: int, tmp_path: Path) -> None:
    """S2: no crash, no other exception, no read outside the bundle, and no memory for sizes that a header invents."""
    done = run_python(str(TESTS / "mutants.py"), kind, str(tmp_path), str(count))
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["opened"] + told["refused"] == count
    assert told["refused"] > count / 5
    assert told["outside"] == []
    assert told["growth"] <= 64 * 1024**2


LISTENING = """
import sys
asked = []
def listen(event, arguments):
    if event in {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"}:
        asked.append((event, str(arguments)))
sys.addaudithook(listen)
from teliti.cli.main import main
try:
    main()
finally:
    sys.stderr.write(f"\\nasked {asked}")
"""


def test_an_export_asks_and_serves_nobody(tmp_path: Path) -> None:
    """S7, S16: eight bits with every library's own telemetry; no socket, and nothing about this machine is written."""
    photos = write_marks(tmp_path / "photos", photos=12)
    home = tmp_path / "home"
    home.mkdir()
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "TELITI_CACHE": str(tmp_path / "cache")}
    code = tmp_path / "listen.py"
    code.write_text(LISTENING, encoding="utf-8")
    words = ("export", str(SAMPLES / "2-labels"), "--to", "openvino", "--int8", "--force", "--data", str(photos),
             "--calibrate", str(photos), "--out", str(tmp_path / "out"))  # fmt: skip
    done = run_python(str(code), *words, **places)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.endswith("asked []")
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize("verb", ["verify", "head", "trace", "feedback", "export"])
def test_a_journal_asks_and_serves_nobody(verb: str, tmp_path: Path) -> None:
    """S16: whoever reads a journal opens no socket."""
    from journals import verdict_entry
    from teliti.journal.store import Journal

    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.append([verdict_entry(number) for number in range(1, 4)])
    code = tmp_path / "listen.py"
    code.write_text(LISTENING, encoding="utf-8")
    more = {"trace": ["A2"], "export": ["--to", "csv", "--out", str(tmp_path / "out.csv")]}.get(verb, [])
    done = run_python(str(code), "journal", verb, *more, "--journal", str(tmp_path / "journal.sqlite"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.endswith("asked []")
