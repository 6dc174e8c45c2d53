"""`torchrun -m teliti train`: one run, told once, with the weights of a single process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from parts import write_parts
from teliti.recipe import parse_recipe
from teliti.workflow.train import help_resume, help_train

WORDS = ["--mode", "scratch", "--set", "model.backbone=tiny_vgg", "--set", "data.image_size=32", "--set",
         "train.epochs=3", "--set", "train.precision=f32", "--set", "train.replicas=1", "--set", "train.device=cpu",
         "--set", "model.dropout=0"]  # fmt: skip
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


def call(starter: list[str], *words: str, cache: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *starter, "-m", "teliti", "train", *words]
    environment = {**os.environ, "TELITI_CACHE": str(cache), "GLOO_SOCKET_IFNAME": "lo", "TELITI_THREADS": "2"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)


@pytest.mark.slow
def test_two_processes_make_one_run_with_the_weights_of_one_process(tmp_path: Path) -> None:
    photos = write_parts(tmp_path / "photos", per_class=20)
    shared = call(TORCHRUN, str(photos), *WORDS, "--out", str(tmp_path / "two"), cache=tmp_path / "cache")
    assert shared.returncode == 0, shared.stderr
    alone = call([], str(photos), *WORDS, "--out", str(tmp_path / "one"), cache=tmp_path / "cache")
    assert alone.returncode == 0, alone.stderr

    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "one", "photos", "two"]
    assert shared.stderr.count("Training on cpu") == alone.stderr.count("Training on cpu") == 1
    assert shared.stdout.count("Report") == alone.stdout.count("Report") == 1
    histories = [json.loads((tmp_path / name / "history.json").read_text()) for name in ("one", "two")]
    losses = [[row["train_loss"] for row in history["rows"]] for history in histories]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    one, two = (load_file(tmp_path / name / "bundle" / "weights.safetensors") for name in ("one", "two"))
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-4)


def test_a_further_process_has_nothing_to_do_where_features_are_asked_or_all_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    help_train("photos that nobody reads", recipe=parse_recipe({"train": {"mode": "features"}}))
    (tmp_path / "run").mkdir()
    state = {"schema": 1, "source": "photos", "photos": "", "command": "", "state": "done", "record": {}}
    (tmp_path / "run" / "run.json").write_text(json.dumps(state))
    help_resume("run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.slow
def test_two_ray_workers_make_one_run_with_the_weights_of_one_process(tmp_path: Path) -> None:
    photos = write_parts(tmp_path / "photos", per_class=20)
    cluster = ["--engine", "ray", "--workers", "2", "--json"]
    shared = call([], str(photos), *WORDS, *cluster, "--out", str(tmp_path / "two"), cache=tmp_path / "cache")
    assert shared.returncode == 0, shared.stderr
    alone = call([], str(photos), *WORDS, "--json", "--out", str(tmp_path / "one"), cache=tmp_path / "cache")
    assert alone.returncode == 0, alone.stderr

    records = [json.loads(run.stdout) for run in (alone, shared)]
    assert records[1]["bundle"] == str(tmp_path / "two" / "bundle")
    assert shared.stderr.count("Training on cpu") == 1
    assert "Epoch 3" in shared.stderr
    losses = [[row["train_loss"] for row in record["history"]["rows"]] for record in records]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    one, two = (load_file(tmp_path / name / "bundle" / "weights.safetensors") for name in ("one", "two"))
    for name in one:
        np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=1e-4)
