"""The command line on a real bundle: nothing is replaced."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from parts import write_parts

SOURCE = Path(__file__).parents[2] / "src"
TINY = ["data.image_size=64", "data.folds=0", 'model.stages=["head"]', "model.pooling=avg", "model.head=logistic",
        "model.c=1.0", "train.engine=onnxruntime"]  # fmt: skip
SET = [word for key in TINY for word in ("--set", key)]


def test_predict_on_files_folders_and_zips(run, trained_bundle: Path, parts_folder: Path, tmp_path: Path) -> None:
    photos = sorted(parts_folder.rglob("*.png"))
    folder = tmp_path / "new photos"
    folder.mkdir()
    shutil.copy(photos[0], folder / "one [bold].png")
    (folder / "broken.png").write_bytes(photos[1].read_bytes()[:200])
    with zipfile.ZipFile(tmp_path / "box.zip", "w") as box:
        box.write(photos[2], "inside.png")
    words = ["predict", str(trained_bundle), str(photos[-1]), str(folder), str(tmp_path / "box.zip")]
    code, out, err = run(*words, "--json", "--fail-on", "reject")
    record = json.loads(out)
    assert code == 3
    assert "1 refused" in err
    assert len(record["results"]) == 3
    assert [Path(photo["path"]).name for photo in record["refused"]] == ["broken.png"]
    assert {result["verdict"] for result in record["results"]} <= {"pass", "reject"}
    code, out, _ = run(*words)
    assert code == 0
    assert "one [bold].png" in out
    assert "4 photos:" in out


def test_evaluate_measures_the_bundle(run, trained_bundle: Path, tmp_path: Path) -> None:
    later = write_parts(tmp_path / "later", per_class=6, seed=500)
    code, out, _ = run("evaluate", str(trained_bundle), str(later), "--json", "--fail-on", "accuracy<0.01")
    record = json.loads(out)
    assert code == 0
    assert record["test"]["n"] == 12
    assert record["gate"] == {"met": True, "reasons": []}
    code, out, _ = run("evaluate", str(trained_bundle), str(later))
    assert code == 0
    assert "Measured on 12 photos" in out


def test_info_on_bundle_machine_and_cache(run, trained_bundle: Path) -> None:
    assert json.loads(run("info", str(trained_bundle), "--json")[1])["classes"] == ["good", "scratch"]
    assert "scratch" in run("info", str(trained_bundle))[1]
    assert "numpy" in run("info")[1]
    assert "limit bytes" in run("info", "--cache")[1]


def test_train_prints_and_writes_everything(run, parts_folder: Path, tmp_path: Path) -> None:
    out_folder = tmp_path / "run"
    code, out, _ = run("train", str(parts_folder), "--out", str(out_folder), *SET)
    assert code == 0, out
    assert "always the largest class" in out
    assert f"Bundle  {out_folder / 'bundle'}" in out
    assert (out_folder / "report.html").is_file()
    code, out, _ = run("train", "--resume", str(out_folder), "--json")
    assert code == 0
    assert json.loads(out)["run"] == str(out_folder)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", "nowhere", "x.png"], "nowhere"),
        (["evaluate", "nowhere", "photos"], "nowhere"),
        (["info", "nowhere"], "nowhere"),
        (["train", "no such folder"], "no such folder"),
        (["train", "--resume", "nowhere"], "is not a run folder"),
    ],
)
def test_a_missing_thing_is_one_sentence(words: list[str], said: str, run) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert "Traceback" not in err


def test_ctrl_c_names_the_command_that_goes_on(parts_folder: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    command = [sys.executable, "-m", "teliti", "train", str(parts_folder), "--out", str(run_folder), *SET]
    surroundings = {**os.environ, "PYTHONPATH": str(SOURCE), "TELITI_CACHE": str(tmp_path / "cache")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings, text=True)
    while not (run_folder / "splits.csv").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode in {130, -signal.SIGINT}, err  # 130 for a shell either way
    assert out == ""
    assert err.endswith(f"Interrupted.\n  Go on with: teliti train --resume {run_folder}\n")
