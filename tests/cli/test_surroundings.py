"""The command line where numbers have a comma and the home is read-only."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from handmade import even_photo, write_brightness_bundle
from parts import encode_png
from surroundings import odd_surroundings
from watched import SOURCE


def test_predict_writes_the_same_numbers_anywhere(tmp_path: Path) -> None:
    """R31: German and a read-only home: numbers with a point in JSON and CSV, no failure, umask 077 respected."""
    bundle = write_brightness_bundle(tmp_path / "bundle").path
    (tmp_path / "a.png").write_bytes(encode_png(even_photo(40)))
    done = subprocess.run(
        [sys.executable, "-m", "teliti", "predict", bundle, tmp_path / "a.png", "--json", "--csv", tmp_path / "a.csv"],
        env={**os.environ, "PYTHONPATH": str(SOURCE), **odd_surroundings(tmp_path, "de_DE")},
        capture_output=True, text=True, umask=0o077, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert result["score"] == pytest.approx(40 / 255)
    (row,) = csv.DictReader((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines())
    assert float(row["score"]) == pytest.approx(40 / 255, abs=1e-4)
    assert (tmp_path / "a.csv").stat().st_mode & 0o077 == 0
