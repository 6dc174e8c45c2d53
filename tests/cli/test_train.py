"""`teliti train` and `teliti demo`: what they ask of the workflow, and what they print."""

import json
import shlex
import sys
import webbrowser
from pathlib import Path
from typing import get_args

import pytest

import teliti.recipe
from teliti.cli.demo import may_open_browser
from teliti.cli.recipe_options import DeviceName, ModeName, PrecisionName, PresetName
from teliti.errors import RunInterrupted


@pytest.fixture
def trained(workflow, solar_record):
    """The calls that reached the workflow."""
    calls: list[dict] = []

    def train(source: str, **choices: object) -> dict:
        calls.append({"source": source, **choices})
        choices["reporter"].note("Reading the photos.")
        return solar_record

    def resume(run: Path, **choices: object) -> dict:
        calls.append({"run": run, **choices})
        return solar_record

    workflow("train", train=train, resume=resume)
    return calls


def test_the_choices_reach_the_workflow(trained, run, tmp_path: Path) -> None:
    recipe = tmp_path / "my recipe.toml"
    recipe.write_text('[model]\nhead = "svr"\n[data]\npositive = "crack"\n')
    words = ["train", "my photos", "--recipe", str(recipe), "--preset", "fast", "--mode", "auto", "--budget", "90s"]
    words += ["--set", "model.c=10", "--set", "data.positive=scratch", "--out", "runs/x"]
    assert run(*words)[0] == 0
    (call,) = trained
    assert call["source"] == "my photos"
    assert call["out"] == Path("runs/x")
    assert call["command"] == shlex.join(["teliti", *words])
    chosen = call["recipe"]
    assert (chosen.model.head, chosen.model.c, chosen.model.pooling) == ("svr", 10, "stats")
    assert (chosen.train.mode, chosen.train.budget, chosen.data.positive) == ("auto", "90s", "scratch")


def test_device_and_precision_are_options_of_their_own(trained, run) -> None:
    assert run("train", "photos", "--mode", "scratch", "--device", "cpu", "--precision", "bf16")[0] == 0
    chosen = trained[0]["recipe"].train
    assert (chosen.device, chosen.precision) == ("cpu", "bf16")


def test_a_recipe_may_name_its_photos(trained, run) -> None:
    assert run("train", "--set", "data.source=photos")[0] == 0
    assert trained[0]["source"] == "photos"


def test_photos_must_be_named(trained, run) -> None:
    code, _, err = run("train")
    assert code == 2
    assert err.startswith("error: DATA must be given:")
    assert trained == []


def test_a_mistyped_key_is_found_before_work_starts(trained, run) -> None:
    code, _, err = run("train", "photos", "--set", "model.bakbone=resnet18")
    assert code == 2
    assert 'Did you mean "model.backbone"?' in err
    assert trained == []


def test_presets_and_modes_are_the_recipes_own() -> None:
    assert get_args(PresetName) == get_args(teliti.recipe.Preset)
    assert get_args(ModeName) == get_args(teliti.recipe.Mode)
    assert get_args(DeviceName) == get_args(teliti.recipe.train.Device)
    assert get_args(PrecisionName) == get_args(teliti.recipe.train.Precision)


def test_a_run_is_resumed_by_its_folder(trained, run) -> None:
    assert run("train", "--resume", "runs/elpv-1")[0] == 0
    assert trained[0]["run"] == Path("runs/elpv-1")


@pytest.mark.parametrize("extra", [["photos"], ["--out", "x"], ["--set", "seed=1"], ["--preset", "fast"]])
def test_resuming_takes_no_other_choice(extra: list[str], trained, run) -> None:
    code, _, err = run("train", "--resume", "runs/my run", *extra)
    assert code == 2
    assert "--resume must stand alone" in err
    assert "teliti train --resume 'runs/my run'" in err
    assert trained == []


def test_an_interruption_says_how_to_go_on(workflow, run) -> None:
    def train(*_: object, **__: object) -> dict:
        raise RunInterrupted(Path("runs/elpv-1"))

    workflow("train", train=train)
    assert run("train", "elpv") == (130, "", "Interrupted.\n  Go on with: teliti train --resume runs/elpv-1\n")
    code, out, _ = run("train", "elpv", "--json")
    assert code == 130
    assert json.loads(out)["error"]["hint"] == "Go on with: teliti train --resume runs/elpv-1"


@pytest.mark.usefixtures("trained")
def test_the_result_names_what_matters(run) -> None:
    code, out, err = run("train", "elpv")
    assert code == 0
    rows = {line.split("  ")[0].strip(): line for line in out.splitlines()}
    assert rows["accuracy"].split() == ["accuracy", "0.886", "0.856", "to", "0.910", "0.688"]
    assert rows["recall"].split() == ["recall", "0.811", "0.744", "to", "0.864"]
    assert "always the largest class" in out
    assert 'Of 164 photos of "defective" 31 passed (missed); of 361 photos of "functional" 28' in out
    assert "Scores from 0.410 on are rejected: best F1." in out
    assert "! The class defective has only 29 test photos." in out
    assert "a.png: empty file" in out
    assert "largest difference 1.2e-06, changed verdicts 0." in " ".join(out.split())
    assert "features 31 s, head 8.2 s, total 1 min 11 s" in out
    assert "Report  runs/elpv-1/report.html\n" in out
    assert "  teliti predict runs/elpv-1/bundle PHOTO...\n" in out
    assert err == "Reading the photos.\n"


@pytest.mark.usefixtures("trained")
def test_a_network_says_how_it_learnt_and_its_first_two_findings(run, solar_record) -> None:
    solar_record["history"] = {
        "rows": [{"epoch": 0}, {"epoch": 1}], "best_epoch": 0, "best_value": 0.25, "monitor": "val_loss",
        "ended": "early_stopping", "options": {"epochs": 9, "early_stopping": 1}, "seconds": [1.0, 1.0],
        "photos": {"chosen_on": 525, "chooser": "validation photos"},
        "diagnosis": [{"kind": kind, "measure": f"Measure {kind}.", "advice": "Do more."}
                      for kind in ("over_fitting", "saturation", "dead_units")],
    }  # fmt: skip
    said = " ".join(run("train", "elpv")[1].split())
    assert "It ran 2 of 9 epochs in 2.0 s; early stopping ended it after 1 epoch that was no better." in said
    assert "The weights of epoch 1 were kept: its loss on the 525 validation photos was the lowest (0.250)." in said
    assert "Over-fitting: Measure over_fitting. To try: Do more." in said
    assert "Saturation: " in said
    assert "Dead units" not in said
    assert "The report names 1 more finding about the training." in said


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.usefixtures("trained")
def test_the_result_fits_the_terminal(columns: str, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert max(len(line) for line in run("train", "elpv")[1].splitlines()) <= int(columns)


@pytest.mark.usefixtures("trained")
def test_json_is_the_whole_of_stdout(run, solar_record) -> None:
    solar_record["test"]["roc_auc"] = float("nan")
    code, out, err = run("train", "elpv", "--json")
    assert code == 0
    assert json.loads(out)["test"] == {**solar_record["test"], "roc_auc": None}
    assert err == "Reading the photos.\n"
    assert run("train", "elpv", "--json", "--quiet")[2] == ""


@pytest.mark.usefixtures("trained")
def test_quiet_leaves_the_result(run) -> None:
    _, out, err = run("train", "elpv", "-q")
    assert "Measured on 525 photos" in out
    assert err == ""


@pytest.mark.usefixtures("trained")
def test_hostile_class_names_are_shown_harmless(run, solar_record) -> None:
    solar_record["positive"] = "[red]def\x1b[2J"
    solar_record["classes"] = ["ok\u202e", "[red]def\x1b[2J"]
    _, out, _ = run("train", "elpv")
    assert r'"[red]def\x1b[2J"' in out
    assert r'"ok\u202e"' in out


@pytest.mark.usefixtures("trained")
def test_many_classes_get_a_row_each(run, solar_record) -> None:
    rows = [{"class": f"kind {i}", "n": 30, "recall": 0.9, "precision": None, "f1": 0.5} for i in range(14)]
    solar_record["test"]["per_class"] = rows
    solar_record |= {"positive": None, "classes": [row["class"] for row in rows]}
    _, out, _ = run("train", "elpv")
    assert "kind 11" in out
    assert "kind 12" not in out
    assert "and 2 classes more" in out


@pytest.mark.usefixtures("trained")
def test_without_a_threshold_no_row_is_repeated(run, solar_record) -> None:
    assert "accuracy at score 0.5" in run("train", "elpv")[1]
    solar_record["threshold"] = {"value": None, "rule": "argmax", "sentence": "The most probable class."}
    _, out, _ = run("train", "elpv")
    assert "accuracy at score 0.5" not in out
    assert sum(line.strip().startswith("F1") for line in out.splitlines()) == 1


@pytest.mark.usefixtures("trained")
def test_folds_are_called_folds(run, solar_record) -> None:
    solar_record["data"] = {"split": {"origin": "folds", "sentence": "5 folds (seed 7)."}}
    _, out, _ = run("train", "elpv")
    assert "Measured on 525 photos, each by a fold that did not learn from it" in out
    assert "- 5 folds (seed 7)." in out


@pytest.mark.usefixtures("trained")
def test_numbers_are_measured_against_the_mean(run, solar_record) -> None:
    measures = {"n": 80, "mae": 0.11, "rmse": 0.2, "r2": 0.75, "baseline_mae": 0.33, "baseline_rmse": 0.4}
    solar_record |= {"task": "regression", "positive": None, "classes": []}
    solar_record["test"] = {**measures, "intervals": {"mae": [0.1, 0.12]}}
    _, out, _ = run("train", "elpv-regression")
    assert "always the mean" in out
    assert " ".join(next(line for line in out.splitlines() if "absolute" in line).split()) == (
        "mean absolute error 0.110 0.100 to 0.120 0.330"
    )


@pytest.mark.usefixtures("trained")
def test_many_refused_files_are_counted(run, solar_record) -> None:
    solar_record["refused_photos"] = [{"path": f"{i}.png", "reason": "empty file"} for i in range(30)]
    solar_record["refused"] = 30
    _, out, _ = run("train", "elpv")
    assert "9.png: empty file" in out
    assert "10.png" not in out
    assert "and 20 more: see refused.csv in the run folder" in out


def test_demo_ends_with_three_commands_and_the_licence(workflow, run, solar_record) -> None:
    workflow("demo", demo=lambda **_: solar_record)
    code, out, _ = run("demo")
    assert code == 0
    assert "CC BY-NC-SA 4.0" in out
    assert sum(line.startswith("  teliti ") for line in out.splitlines()) == 3
    assert json.loads(run("demo", "--json")[1]) == solar_record


@pytest.mark.parametrize(
    ("surroundings", "opens"),
    [({"DISPLAY": ":0"}, True), ({}, sys.platform != "linux"), ({"DISPLAY": ":0", "CI": "true"}, False),
     ({"WAYLAND_DISPLAY": "w"}, True), ({"DISPLAY": ":0", "TERM": "dumb"}, False)],
)  # fmt: skip
def test_the_browser_opens_only_for_a_person(
    surroundings: dict[str, str], opens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert may_open_browser() == opens
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert not may_open_browser()


def test_the_report_is_what_opens(workflow, run, solar_record, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr("teliti.cli.demo.may_open_browser", lambda: True)
    workflow("demo", demo=lambda **_: solar_record)
    run("demo")
    assert opened == [Path("runs/elpv-1/report.html").resolve().as_uri()]
    run("demo", "--json")
    run("demo", "--quiet")
    assert len(opened) == 1


def test_a_further_process_helps_and_says_nothing(workflow, run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple] = []
    workflow("train", help_train=lambda source, **choices: calls.append((source, choices["recipe"].train.mode)),
             help_resume=lambda folder: calls.append((folder,)))  # fmt: skip
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert run("train", "photos", "--mode", "scratch", "--out", "runs/x") == (0, "", "")
    assert run("train", "--resume", "runs/x") == (0, "", "")
    assert calls == [("photos", "scratch"), (Path("runs/x"),)]
