"""`teliti train` of a network, killed again and again and resumed: the same bits as undisturbed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import teliti
from parts import write_parts
from teliti.bundle import MODEL, WEIGHTS
from teliti.files import hash_file
from teliti.recipe import load_recipe
from watched import wait_until

OPTIONS = ("model.backbone=lenet", "data.image_size=16", "train.batch_size=16", "train.precision=f32",
           "train.replicas=1", "train.threads=1", "train.epochs=150", "train.checkpoint_s=0.02")  # fmt: skip
SET = [word for option in OPTIONS for word in ("--set", option)]


def start(*words: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "teliti", "train", *map(str, words), "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result_of(run: Path) -> list[str]:
    lines = (run / "history.csv").read_text("utf-8").splitlines()
    return [*(hash_file(run / "bundle" / name) for name in (MODEL, WEIGHTS)), *lines]


@pytest.mark.slow
def test_a_training_that_is_killed_again_and_again(tmp_path: Path) -> None:
    """Each process but the last is killed, some time after it has begun to learn or to go on."""
    photos, run, chance = write_parts(tmp_path / "photos", per_class=12), tmp_path / "run", random.Random(5)
    process = start(photos, "--mode", "scratch", *SET, "--out", run)
    wait_until(lambda: any((run / "checkpoints").glob("*.safetensors")), seconds=120, process=process)
    for number in range(5):
        if number:
            process, lock = start("--resume", run), run / "lock.json"
            wait_until(lambda: lock.exists() and str(process.pid) in lock.read_text(), seconds=120, process=process)  # noqa: B023
        time.sleep(chance.uniform(0.0, 2.0))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    process = start("--resume", run)
    said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    alone = teliti.train(str(photos), recipe=load_recipe(run / "recipe.toml"), out=tmp_path / "alone")
    assert result_of(Path(alone["run"])) == result_of(run)
    assert len(alone["history"]["rows"]) == 150
