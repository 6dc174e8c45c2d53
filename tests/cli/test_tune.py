"""`teliti tune` and `teliti sensitivity`: what reaches the workflow, what is printed, what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

SEARCH = {
    "schema": 1, "source": "photos", "report": "o/report.html", "measure": "roc_auc", "photos": 40,
    "split": "Our split.", "trials": {"done": 5, "pruned": 1, "failed": 0}, "rows": [],
    "finalists": [
        {"name": "trial 3", "mean": 0.91, "interval": [0.88, 0.94], "size": 1200,
         "factors": {"model.head": "logistic"}},
        {"name": "as given", "mean": 0.9, "interval": None, "size": 90000, "factors": {}},
    ],
    "best": {"name": "trial 3", "sentence": "trial 3: the best mean.", "recipe": "o/winner.toml",
             "recipe_toml": "seed = 3\n", "test": {"roc_auc": 0.905, "accuracy": 0.87}},
}  # fmt: skip
ROW = {"varied": [], "mean": 0.81, "interval": [0.7, 0.9], "repeats": 2, "seconds": 12.0, "energy_wh": 0.1,
       "difference": None, "at_chance": False, "cause": None}  # fmt: skip
TABLE = {
    "schema": 1, "measure": "accuracy", "repeats": 2, "photos": 240, "course": "course table", "design": "Folds.",
    "report": "o/report.html", "workers": 2, "watts": 30.0,
    "rows": [
        {**ROW, "factors": {"model.backbone": "vgg16", "train.lr": "0.001"}},
        {**ROW, "factors": {"model.backbone": "vgg16", "train.lr": "0.005"}, "varied": ["train.lr"], "mean": 0.33,
         "difference": {"mean": -0.48, "verdict": "harms"}, "at_chance": True, "cause": "A step was long."},
    ],
    "table": [
        {"network": "vgg16", "factor": "train.lr", "value": "0.001", "cell": 0, "course": 0.4},
        {"network": "vgg16", "factor": "train.lr", "value": "0.005", "cell": 1, "course": None},
        {"network": "vgg16", "factor": "several", "value": "prepare segment, train.lr 0.1", "cell": 1, "course": None},
    ],
}  # fmt: skip


def test_tune_hands_on_its_choices_and_shows_the_winner(run, workflow, tmp_path: Path) -> None:
    asked = {}

    def search(source, **choices):
        asked.update(choices, source=source)
        return SEARCH

    workflow("tune", tune=search)
    out = tmp_path / "best.toml"
    code, stdout, _ = run("tune", "photos", "--space", "train.lr=log(1e-4,1e-1)", "train.batch_size=16,32", "--trials",
                          "5", "--budget", "10m", "--apply", str(out))  # fmt: skip
    assert code == 0
    assert list(asked["space"]) == ["train.lr=log(1e-4,1e-1)", "train.batch_size=16,32"]
    assert (asked["source"], asked["trials"], asked["recipe"].train.budget) == ("photos", 5, "10m")
    assert "5 trials on 40 photos, 1 pruned" in stdout
    assert "On the sealed test part, looked at once: accuracy 0.870, ROC AUC 0.905" in stdout
    assert f"teliti train photos --recipe {out}" in stdout
    assert out.read_text(encoding="utf-8") == "seed = 3\n"


def test_tune_prints_one_document(run, workflow) -> None:
    workflow("tune", tune=lambda source, **choices: SEARCH)  # noqa: ARG005
    code, stdout, _ = run("tune", "photos", "--json")
    assert code == 0
    assert json.loads(stdout) == SEARCH


def test_resume_stands_alone(run, workflow) -> None:
    workflow("tune", resume=lambda folder, **choices: SEARCH)  # noqa: ARG005
    assert run("tune", "--resume", "o")[0] == 0
    beside = [(verb, *words) for verb in ("tune", "sensitivity") for words in (["photos"], ["--repeats", "5"],
              ["--workers", "2"], ["--measure", "accuracy"])]  # fmt: skip
    for verb, *words in [*beside, ("tune", "--finalists", "2"), ("sensitivity", "--watts", "9")]:
        code, _, stderr = run(verb, *words, "--resume", "o")
        assert code == 2
        assert "--resume must stand alone" in stderr
        assert f"teliti {verb} --resume o" in stderr


def test_data_must_be_given_and_apply_must_be_a_file(run, tmp_path: Path) -> None:
    for verb in ("tune", "sensitivity"):
        code, _, stderr = run(verb)
        assert (code, "DATA must be given" in stderr) == (2, True)
    code, _, stderr = run("tune", "photos", "--apply", str(tmp_path))
    assert (code, "--apply must be a file, got the folder" in stderr) == (2, True)


def test_sensitivity_prints_choices_down_and_networks_across(run, workflow, tmp_path: Path) -> None:
    asked = {}

    class TableRequest:
        def __init__(self, *lists, **choices) -> None:
            asked.update(choices, lists=lists)

    workflow("sensitivity", sensitivity=lambda source, table, **choices: TABLE, TableRequest=TableRequest)  # noqa: ARG005
    csv = tmp_path / "cells.csv"
    code, stdout, _ = run("sensitivity", "photos", "--networks", "vgg16", "--quick", "--rates", "0.001, 0.005", "--csv",
                          str(csv))  # fmt: skip
    assert code == 0
    assert asked["quick"]
    assert asked["lists"][0] == ("vgg16",)
    assert asked["lists"][4] == ("0.001", "0.005")
    assert "train.lr 0.005" in stdout
    assert re.search(r"^ *prepare segment, train\.lr", stdout, re.MULTILINE)
    assert "0.810 (0.40)" in stdout
    assert "at chance. A step was long." in stdout
    assert stdout.count("12 s, 0.10 Wh") == 3  # of every cell what one training took
    lines = csv.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("model.backbone,train.lr,accuracy,low,high,repeats")
    assert lines[2].startswith("vgg16,0.005,0.33,0.7,0.9,2,-0.48,harms,True,A step was long.")


def test_json_and_csv_on_stdout_exclude_each_other(run) -> None:
    code, stdout, _ = run("sensitivity", "photos", "--json", "--csv", "-")
    assert code == 2
    assert "--json and --csv - must not stand together" in json.loads(stdout)["error"]["message"]
