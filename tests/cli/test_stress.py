"""`teliti stress` and `teliti evaluate --evidence` as they speak: sentences, JSON, gates, mistakes."""

import json
import shutil

import pytest

from handmade import even_photo, write_brightness_bundle
from parts import encode_png

_CHEATING_ALONE = (
    "--fail-on cheating must stand beside --evidence, got it alone. For instance --evidence otsu, or --evidence "
    '"{stem}_mask.png"; with train --set data.part_mask=otsu.'
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stress")
    write_brightness_bundle(folder / "bundle")
    for name, grey in (("dark", 80), ("bright", 210)):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(6):
            photo = encode_png(even_photo(grey + number, side=20))
            (folder / "photos" / name / f"{number}.png").write_bytes(photo)
    return folder


def words(place, *more):
    return ("stress", str(place / "bundle"), str(place / "photos"), "--sweep", "darker", *more)


def test_the_limits_are_said_in_words(run, place):
    code, out, err = run(*words(place, "--quiet"))
    assert (code, err) == (0, "")
    assert "As they are, 100.0 % of the photos get the right answer" in out
    assert "Light may fall to 70 % of what it was; at 60 % no longer." in out
    assert "There are 6 photos that must not pass" in out
    assert "The bundle keeps no envelope" in out


def test_json_is_one_document_and_pages_are_written(run, place, tmp_path):
    code, out, _ = run(*words(place, "--json", "--out", str(tmp_path / "out")))
    record = json.loads(out)
    assert (code, record["schema"], record["limits"]) == (0, 1, {"darker": 0.7})
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"stress.html", "card.html", "stress.json"}


@pytest.mark.parametrize(("gate", "code"), [("darker>0.6", 3), ("darker>0.7", 0)])
def test_a_gate_is_about_a_limit(run, place, gate, code):
    found, out, err = run(*words(place, "--json", "--fail-on", gate))
    assert found == code
    assert json.loads(out)["gate"]["met"] is (code == 0)
    assert ("darker is 0.7, which fails the gate darker>0.6" in err) is (code == 3)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--fail-on", "unproven"), "the limit of a sweep, got 'unproven'. For instance --fail-on \"blur<1\"."),
        (("--fail-on", "blur<1"), "--fail-on must name one of darker, got 'blur'"),
        (("--loss", "2"), "--loss must be a share in [0, 1], got 2. Two points are 0.02."),
        (("--changed=-1",), "--changed must be a share in [0, 1], got -1"),
        (("--sweep", "drker"), 'got "drker"'),
    ],
)
def test_mistakes_are_told_in_a_sentence(run, place, more, said):
    code, _, err = run(*words(place, *more))
    assert code == 2
    assert said in " ".join(err.split())
    assert "Traceback" not in err


def test_a_broken_bundle_is_told(run, place, tmp_path):
    shutil.copytree(place / "bundle", tmp_path / "bundle")
    (tmp_path / "bundle" / "model.onnx").write_bytes(b"x")
    code, _, err = run("stress", str(tmp_path / "bundle"), str(place / "photos"))
    assert (code, "is damaged" in err) == (2, True)


def test_evidence_is_said_and_gated(run, place):
    asked = ("evaluate", str(place / "bundle"), str(place / "photos"))
    code, out, err = run(*asked, "--evidence", "otsu", "--fail-on", "cheating", "--quiet")
    assert code == 3
    assert "could not be judged: part and background can be told apart on too few photos" in " ".join(out.split())
    assert "the gate cheating is not met" in " ".join(err.split())
    code, _, err = run(*asked, "--fail-on", "cheating")
    assert (code, _CHEATING_ALONE in " ".join(err.split())) == (2, True)
