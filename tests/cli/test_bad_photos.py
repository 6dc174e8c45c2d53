"""Two hundred good photos with sixty bad files among them: nothing stops, nothing is lost, memory does not grow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import teliti
from photos import broken_photos, good_photos, write_files

SOURCE = Path(teliti.__file__).parents[1]
GOOD, LEAST_BAD, GROWTH = 200, 60, 256 * 2**20
_COMMAND = """
import sys
from teliti.cli.main import main
from teliti.runtime import peak_memory_bytes
code = main(sys.argv[1:])
print(peak_memory_bytes(), file=sys.stderr)
sys.exit(code)
"""


def inspect(bundle: Path, folder: Path, *words: str) -> tuple[int, dict, int]:
    """Exit code, record and peak memory of `teliti predict` in a process of its own."""
    command = [sys.executable, "-c", _COMMAND, "predict", str(bundle), str(folder), "--json", *words]
    surroundings = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout), int(done.stderr.split()[-1])


def test_sixty_bad_files_among_two_hundred_good_ones(trained_bundle: Path, tmp_path: Path) -> None:
    """R11, S4: bad photos and bombs through the command line, each named once, the good ones as without them."""
    kinds = list(good_photos().items())
    good = {f"{number:03d}-{kinds[number % len(kinds)][0]}": kinds[number % len(kinds)][1] for number in range(GOOD)}
    bad = {f"{number:03d}-bad-{name}": file for number, (name, file) in enumerate(broken_photos().items())}
    assert len(bad) >= LEAST_BAD
    write_files(tmp_path / "good", good)
    write_files(tmp_path / "both", {**good, **bad})

    code, alone, memory_alone = inspect(trained_bundle, tmp_path / "good")
    assert (code, len(alone["results"]), alone["refused"]) == (0, GOOD, [])
    code, both, memory_both = inspect(trained_bundle, tmp_path / "both")
    assert code == 0
    assert sorted(Path(one["path"]).name for one in both["refused"]) == sorted(bad)
    assert all(one["reason"] for one in both["refused"])
    assert len(both["results"]) + len(both["refused"]) == GOOD + len(bad)
    assert memory_both - memory_alone <= GROWTH

    def scores(record: dict) -> dict[str, tuple]:
        return {Path(one["path"]).name: (one["score"], one["verdict"]) for one in record["results"]}

    assert scores(both) == scores(alone)  # the neighbours change nothing
