"""`teliti prepare`: what it asks of the workflow, and what it prints."""

import csv
import io
import json
from pathlib import Path

import pytest

from teliti.cli.variants_table import write_comparison


@pytest.fixture
def written() -> dict:
    return {
        "schema": 1, "source": "photos", "out": "my out", "data": "my out/labels.csv", "labels": "my out/labels.csv",
        "steps": [{"step": "clahe"}, {"step": "tile"}], "left_out": [], "photos": 1200, "files": 4800, "written": 1000,
        "kept": 200, "refused": 1, "refused_photos": [{"path": "a\x1b.png", "reason": "empty file"}], "told_apart": {},
        "stale": [], "notes": [], "seconds": {"total": 1.0},
    }  # fmt: skip


@pytest.fixture
def compared() -> dict:
    def measured(mean: float, interval: list[float] | None) -> dict:
        return {"mean": mean, "interval": interval, "values": [mean, mean]}

    def row(name: str, by: float, difference: dict | None) -> dict:
        measures = {key: measured(0.8 + by, [0.7, 0.9]) for key in ("accuracy", "balanced_accuracy", "recall")}
        measures |= {"roc_auc": measured(0.95 + by, None), "specificity": measured(0.9, [0.8, 1.0])}
        return {
            "factors": {"prepare": name}, "mean": 0.8 + by, "interval": [0.7, 0.9], "repeats": 5, "seconds": 12.5,
            "measures": measures, "difference": difference,
        }  # fmt: skip

    gain = {"against": "none", "mean": 0.05, "interval": [0.01, 0.09], "p": 0.01, "p_adjusted": 0.02}
    loss = {"against": "none", "mean": -0.01, "interval": [-0.03, 0.01], "p": 0.4, "p_adjusted": 0.4}
    return {
        "schema": 1, "source": "photos", "task": "classification", "classes": ["good", "scratch"],
        "positive": "scratch", "measure": "accuracy", "reference": "none", "photos": 2099, "sealed": 525, "refused": 3,
        "design": {"kind": "folds", "folds": 5, "repeats": 5, "seeds": [7], "sentence": "Every repeat is one fold."},
        "rows": [row("none", 0.0, None), row("clahe", 0.05, gain | {"verdict": "helps"}),
                 row("=m\u202edian", -0.01, loss | {"verdict": "inside the noise"})],
        "best": {"factors": {"prepare": "clahe"}, "mean": 0.85, "shown_to_help": True}, "shown_to_help": ["clahe"],
        "recommended": "clahe", "sentences": ["The first sentence.", 'Shown to help: "clahe".'],
    }  # fmt: skip


@pytest.fixture
def job(workflow, written, compared):
    """The calls that reached the workflow."""
    calls: list[tuple] = []

    def prepare(source: str, out: Path, **choices: object) -> dict:
        calls.append(("prepare", source, out, choices["recipe"]))
        return written

    def preview(source: str, **choices: object) -> dict:
        calls.append(("preview", source, choices["out"], choices["photos"]))
        return {"schema": 1, "sheet": "a folder/sheet.png", "refused_photos": [], "photos": ["x.png"]}

    def compare_variants(variants: dict, source: str, **choices: object) -> dict:
        calls.append(("compare", variants, source, choices))
        return compared

    workflow("prepare", prepare=prepare)
    workflow("prepare_preview", preview=preview)
    workflow("compare_variants", compare_variants=compare_variants)
    workflow("searches.variants", parse_variants=lambda words, base: {"words": words, "base": base})
    return calls


def test_photos_are_written(job, run) -> None:
    code, out, err = run("prepare", "photos", "my out", "--set", 'prepare=[{step="clahe", clip_limit=3.0}]')
    assert (code, err) == (0, "")
    ((_, source, folder, recipe),) = job
    assert (source, folder) == ("photos", Path("my out"))
    assert [step.model_dump() for step in recipe.prepare] == [{"step": "clahe", "clip_limit": 3.0}]
    assert "1,200 photos in 4,800 files prepared by clahe + tile, 200 of them were there already." in out
    assert r"! a\x1b.png: refused, empty file" in out
    assert "Photos  my out\n" in out
    assert "Labels  my out/labels.csv\n" in out
    assert "teliti train 'my out/labels.csv'" in out


@pytest.mark.usefixtures("job")
def test_many_refused_photos_are_counted(run, written) -> None:
    written["refused_photos"] = [{"path": f"{number}.png", "reason": "empty file"} for number in range(30)]
    _, out, _ = run("prepare", "photos", "out")
    assert "9.png: refused" in out
    assert "10.png" not in out
    assert "and 20 more: refused.csv names all of them." in out


@pytest.mark.usefixtures("job")
def test_json_is_the_record(run, written, compared) -> None:
    assert json.loads(run("prepare", "photos", "out", "--json")[1]) == written
    assert json.loads(run("prepare", "photos", "--preview", "--json")[1])["sheet"] == "a folder/sheet.png"
    assert json.loads(run("prepare", "photos", "--compare", "clahe", "--json")[1]) == compared


def test_a_preview_prints_where_it_lies(job, run) -> None:
    code, out, _ = run("prepare", "photos", "--preview", "-n", "7")
    assert code == 0
    assert job == [("preview", "photos", None, 7)]
    assert out == "Sheet   a folder/sheet.png\n"
    run("prepare", "photos", "x.png", "--preview")
    assert job[1] == ("preview", "photos", Path("x.png"), 4)


def test_the_choices_of_a_comparison_reach_the_workflow(job, run) -> None:
    words = [
        "--compare",
        "clahe,segment",
        "--repeats",
        "10",
        "--measure",
        "recall",
        "--budget",
        "2m",
        "--preset",
        "fast",
    ]
    assert run("prepare", "photos", *words)[0] == 0
    ((_, variants, source, choices),) = job
    assert (variants["words"], source) == ("clahe,segment", "photos")
    assert variants["base"].data.image_size == 224
    del choices["reporter"]
    assert choices == {"repeats": 10, "measure": "recall", "factor": "prepare", "budget_s": 120.0}
    run("prepare", "photos", "--compare", "clahe")
    assert (job[1][3]["budget_s"], job[1][3]["measure"], job[1][3]["repeats"]) == (None, None, 5)


@pytest.mark.usefixtures("job")
def test_a_comparison_stands_side_by_side(run) -> None:
    _, out, _ = run("prepare", "photos", "--compare", "clahe")
    assert "Measured on 2,099 photos, 5 repeats of each variant" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["none", "0.800", "0.800", "0.800", "0.950"] in lines
    assert ["clahe", "0.850", "0.850", "0.850", "1.000", "+0.050"] in lines
    assert "+0.010 to +0.090" in out
    assert "helps" in out
    assert r"=m\u202edian" in out
    assert "- Every repeat is one fold." in out
    assert 'Recall is that of "scratch"' in out
    assert "Refused: 3 files." in out
    assert out.splitlines()[-1].strip() == 'Shown to help: "clahe".'


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize("columns", ["80", "120"])
def test_a_comparison_fits_the_terminal(columns: str, run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    _, out, _ = run("prepare", "photos", "--compare", "clahe")
    assert max(map(len, out.splitlines())) <= int(columns)


@pytest.mark.usefixtures("job")
def test_another_measure_gets_its_own_column(run, compared) -> None:
    compared["measure"] = "specificity"
    _, out, _ = run("prepare", "photos", "--compare", "clahe", "--measure", "specificity")
    assert "specificity" in out
    assert "0.900" in out


@pytest.mark.usefixtures("job")
def test_undefined_measures_are_dashes(run, compared) -> None:
    row = compared["rows"][1]
    row["measures"]["recall"] = {"mean": None, "interval": None, "values": [None, None]}
    row["difference"] |= {"mean": None, "interval": None}
    _, out, _ = run("prepare", "photos", "--compare", "clahe")
    assert ["clahe", "0.850", "0.850", "-", "1.000", "-"] in [line.split() for line in out.splitlines()]


@pytest.mark.usefixtures("job")
def test_csv_has_a_row_for_each_variant(run, tmp_path: Path) -> None:
    target = tmp_path / "rows.csv"
    assert run("prepare", "photos", "--compare", "clahe", "--csv", str(target))[0] == 0
    none, clahe, odd = csv.DictReader(io.StringIO(target.read_bytes().decode(), newline=""))
    assert (none["prepare"], none["accuracy"], none["difference"], none["verdict"]) == ("none", "0.8", "", "")
    assert (clahe["roc_auc"], clahe["roc_auc_low"], clahe["accuracy_low"]) == ("1.0", "", "0.7")
    assert (clahe["difference_high"], clahe["verdict"], clahe["judged"]) == ("0.09", "helps", "accuracy")
    assert odd["prepare"] == "'=m\u202edian"
    code, out, _ = run("prepare", "photos", "--compare", "clahe", "--csv", "-")
    assert code == 0
    assert len(list(csv.reader(io.StringIO(out)))) == 4


def test_csv_lines_end_as_spreadsheets_expect(compared) -> None:
    assert write_comparison(compared).count("\r\n") == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["photos"], "OUT must be given: a new folder for the prepared photos, got nothing."),
        (["photos", "out", "--compare", "clahe"], "--compare must stand without OUT: it writes no photos."),
        (["photos", "--preview", "--compare", "clahe"], "--compare must stand without --preview"),
        (["photos", "out", "--csv", "x.csv"], "--measure and --csv need --compare."),
        (["photos", "out", "--measure", "recall"], "--measure and --csv need --compare."),
        (["photos", "--compare", "clahe", "--json", "--csv", "-"], "both write to stdout"),
    ],
)
def test_options_that_do_not_go_together(words: list[str], said: str, job, run) -> None:
    code, out, err = run("prepare", *words)
    assert code == 2
    assert said in out + err
    assert job == []


def test_the_real_thing(run, parts_folder: Path, tmp_path: Path) -> None:
    recipe = ["--set", 'prepare=[{step="clahe"},{step="segment"},{step="fill_holes"},{step="mask"}]']
    code, out, err = run("prepare", str(parts_folder), str(tmp_path / "out"), *recipe, "--json", "--quiet")
    assert (code, err) == (0, "")
    assert json.loads(out)["photos"] == 48
    code, out, _ = run("prepare", str(parts_folder), str(tmp_path / "s.png"), *recipe, "--preview", "-n", "2")
    assert (code, out) == (0, f"Sheet   {tmp_path / 's.png'}\n")
    assert (tmp_path / "s.png").is_file()
