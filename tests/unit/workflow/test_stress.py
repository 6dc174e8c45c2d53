"""Stress on a network that only measures brightness: every limit can be computed by hand."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from handmade import even_photo, write_brightness_bundle
from parts import encode_png
from teliti.bundle import MANIFEST, SEEN_DIGITS, SEEN_FILE, amend_envelope, open_bundle
from teliti.data.conditions import measure_conditions
from teliti.errors import CatalogError, UserError
from teliti.files import hash_file
from teliti.metrics.envelope import fit_envelope
from teliti.metrics.stress import Bounds
from teliti.predictor import Predictor
from teliti.transforms.prepare import build_chain
from teliti.types import Record
from teliti.workflow.stress import stress

DARK, BRIGHT = range(80, 100), range(195, 215)
"""Called bright from 127.5 on: these stay dark up to 128 %, and bright down to 65 % of the light."""


def write_photos(folder: Path, *, colour: bool = False) -> Path:
    for name, greys in (("dark", DARK), ("bright", BRIGHT)):
        (folder / name).mkdir(parents=True)
        for grey in greys:
            photo = even_photo(grey, side=40)
            photo[..., 2] -= 30 * colour
            (folder / name / f"{grey}.png").write_bytes(encode_png(photo))
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle_with_envelope(tmp_path / "bundle")


def write_bundle_with_envelope(folder: Path) -> Path:
    write_brightness_bundle(folder)
    rows = [measure_conditions(even_photo(grey, side=40)).to_record() for grey in (*DARK, *BRIGHT)]
    envelope = fit_envelope({name: np.array([row[name] for row in rows]) for name in rows[0]}, action="warn")
    assert envelope is not None
    amend_envelope(folder, envelope)
    return folder


def by_name(record: Record) -> dict[str, Record]:
    return {row["name"]: row for row in record["sweeps"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle, photos, and what a stress of it wrote to `out`."""
    return tmp_path_factory.mktemp("stress")


@pytest.fixture(scope="module")
def stressed(place: Path) -> Record:
    return stress(write_bundle_with_envelope(place / "bundle"), write_photos(place / "photos"), out=place / "out")


def test_the_limits_are_those_of_the_arithmetic(stressed: Record) -> None:
    rows = by_name(stressed)
    assert (rows["darker"]["limit"], rows["darker"]["first_broken"]) == (0.7, 0.6)  # 0.6 * 212 < 127.5
    assert (rows["brighter"]["limit"], rows["brighter"]["first_broken"]) == (
        1.3,
        1.5,
    )  # 1.3 * 99 > 127.5 is one photo alone
    for untouched in ("blur", "pixels", "jpeg", "rotation", "shift", "smaller", "larger", "noise"):
        assert rows[untouched]["first_broken"] is None, untouched
        assert rows[untouched]["limit"] == rows[untouched]["levels"][-1]["level"]
    assert rows["tint"]["why_not"] == "the photos are grey"
    assert (stressed["photos"], stressed["clean"]["accuracy"], stressed["clean"]["bad"]) == (40, 1.0, 20)
    assert stressed["limits"]["darker"] == 0.7
    assert "tint" not in stressed["limits"]


def test_a_level_counts_what_the_predictor_says(stressed: Record) -> None:
    levels = {level["level"]: level for level in by_name(stressed)["darker"]["levels"]}
    missed = sum(round(0.6 * grey) < 127.5 for grey in BRIGHT)
    assert (levels[0.6]["missed"], levels[0.6]["accuracy"]) == (missed, 1.0 - missed / 40)
    assert levels[0.6]["unchanged"] == 1.0 - missed / 40
    assert list(levels)[-1] == 0.5  # the level after the first that breaks is the last one tried
    assert levels[0.7]["miss_rate_interval"][0] == 0.0


def test_the_limits_stand_in_the_bundle_and_predict_warns_by_them(place: Path, stressed: Record) -> None:
    opened = open_bundle(place / "bundle")
    assert opened.envelope is not None
    light = opened.envelope.limits["light"]
    assert (light.low_from, light.high_from) == ("stress", "stress")
    assert light.low == pytest.approx(0.7 * 80, abs=1.0)
    assert light.high == 255.0  # 1.3 * 214, saturated
    inside, outside = Predictor(opened, threads=1).predict([even_photo(60, side=40), even_photo(40, side=40)])
    assert inside.warnings == ()
    assert outside.warnings == (f"too dark: light 40 of 255, limit {light.low:.0f}",)
    assert [run["limits"] for run in opened.envelope.stress] == [stressed["limits"]]
    assert stressed["updated"]
    assert stressed["bundle_hash"] == hash_file(place / "bundle" / MANIFEST)
    assert stressed["model_hash"] == opened.model_hash
    assert len(opened.manifest["amended"]) == 2


def test_where_not_even_the_mildest_change_holds_the_limits_are_the_photos_themselves(
    bundle: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "edge"
    for name, grey in (("dark", 120), ("bright", 130)):
        (photos / name).mkdir(parents=True)
        for number in range(12):
            (photos / name / f"{number}.png").write_bytes(encode_png(even_photo(grey, side=40 + number)))
    record = stress(bundle, photos, sweeps=["darker"])
    row = by_name(record)["darker"]
    assert (row["limit"], row["first_broken"], len(row["levels"])) == (1.0, 0.9, 2)
    assert record["envelope"]["limits"]["light"]["low"] == min(DARK)  # never inside what was learnt from


def test_without_update_the_bundle_stays_as_it_is(bundle: Path, photos: Path) -> None:
    before = hash_file(bundle / MANIFEST)
    record = stress(bundle, photos, sweeps=["darker"], update=False)
    assert hash_file(bundle / MANIFEST) == before
    assert (record["updated"], record["envelope"]["limits"]["light"]["low_from"]) == (False, "stress")


def test_a_bundle_without_envelope_gets_none(photos: Path, tmp_path: Path) -> None:
    plain = write_brightness_bundle(tmp_path / "plain").path
    record = stress(plain, photos, sweeps=["darker"])
    assert (record["envelope"], record["updated"], record["limits"]) == (None, False, {"darker": 0.7})


def test_the_bounds_decide(bundle: Path, photos: Path) -> None:
    loose = stress(bundle, photos, sweeps=["darker"], bounds=Bounds(1.0, 1.0), update=False)
    assert by_name(loose)["darker"]["first_broken"] is None


def test_colour_is_tried_on_coloured_photos(bundle: Path, tmp_path: Path) -> None:
    record = stress(bundle, write_photos(tmp_path / "coloured", colour=True), sweeps=["tint"], update=False)
    assert by_name(record)["tint"]["levels"]


def keep_seen(bundle: Path, photos: list[Path]) -> None:
    (bundle / SEEN_FILE).write_text("".join(f"{hash_file(photo)[:SEEN_DIGITS]}\n" for photo in photos))


def test_photos_that_the_bundle_has_seen_are_left_out(bundle: Path, photos: Path) -> None:
    keep_seen(bundle, sorted(photos.rglob("*.png"))[::2])
    record = stress(bundle, photos, sweeps=["darker"], update=False)
    assert (record["photos"], record["seen"]) == (20, 0)


def test_where_nearly_all_were_seen_it_is_told(bundle: Path, photos: Path) -> None:
    keep_seen(bundle, sorted(photos.rglob("*.png"))[1:])
    record = stress(bundle, photos, sweeps=["darker"], update=False)
    assert (record["photos"], record["seen"]) == (40, 39)
    assert record["warnings"][0].startswith("39 of 40 photos were used to train this bundle")


def test_no_more_photos_than_wanted_of_all_classes(bundle: Path, photos: Path) -> None:
    record = stress(bundle, photos, sweeps=["darker"], most=10, update=False)
    assert (record["photos"], record["clean"]["bad"]) == (10, 5)


def test_masks_that_lie_beside_photos_are_not_moved(bundle: Path, photos: Path) -> None:
    manifest = json.loads((bundle / MANIFEST).read_text())
    chain = build_chain([{"step": "mask_from_file"}], image_size=(8, 8), fit="letterbox")
    (bundle / MANIFEST).write_text(json.dumps({**manifest, "prepare": chain.to_record()}))
    for photo in sorted(photos.rglob("*.png")):
        photo.with_name(f"{photo.stem}_mask.png").write_bytes(encode_png(even_photo(255, side=40)))
    rows = by_name(stress(bundle, photos, sweeps=["darker", "shift"], update=False))
    assert rows["shift"]["why_not"] == "masks beside the photos would have to move along"
    assert rows["darker"]["limit"] == 0.7


def test_pages_and_record_are_written(stressed: Record, place: Path) -> None:
    out = place / "out"
    assert json.loads((out / "stress.json").read_text())["limits"] == stressed["limits"]
    card = html.unescape((out / "card.html").read_text()).replace("\u00a0", " ")
    for row in stressed["card"]:
        assert row["sentence"] in card
    assert (out / "stress.html").read_text().count("data:image/jpeg") > 10


WRONG: dict[str, tuple[Callable[[Path, Path], Record], str]] = {
    "sweep": (
        lambda b, p: stress(b, p, sweeps=["dark"]),
        r'A sweep must be one of darker.*got "dark"\. Did you mean "darker"\?$',
    ),
    "most": (
        lambda b, p: stress(b, p, most=0),
        r"The number of photos must be at least 1, got 0\. 200 take a few minutes\.$",
    ),
    "nothing like it": (
        lambda b, p: stress(b, p, sweeps=["xyz"]),
        r'got "xyz"\. Name some of them, or none for all\.$',
    ),
    "nothing named": (
        lambda b, _: stress(b),
        r"has no photos of its own run beside it, and none were named\. "
        r"Name labelled photos: teliti stress BUNDLE DATA\.$",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_mistakes_are_told(name: str, bundle: Path, photos: Path) -> None:
    call, said = WRONG[name]
    with pytest.raises(UserError, match=said):
        call(bundle, photos)


def write_number_labels(folder: Path) -> Path:
    """40 even photos whose label is their grey value and 4 more, or 4 less."""
    folder.mkdir()
    rows = ["path,label"]
    for number, grey in enumerate(range(60, 100)):
        (folder / f"{grey}.png").write_bytes(encode_png(even_photo(grey, side=20)))
        rows.append(f"{grey}.png,{grey + 4 * (-1) ** number}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder / "labels.csv"


def test_numbers_hold_within_a_tolerance(tmp_path: Path) -> None:
    bundle = write_brightness_bundle(tmp_path / "numbers", is_regression=True).path
    labels = write_number_labels(tmp_path / "photos")
    record = stress(bundle, labels, sweeps=["darker", "jpeg"], out=tmp_path / "out")
    assert (record["task"], record["tolerance"]["from"]) == ("regression", "error")
    assert record["tolerance"]["values"]["number"] == pytest.approx(4.0)
    assert record["clean"]["errors"][0]["mae"] == pytest.approx(4.0)
    darker = by_name(record)["darker"]
    assert (darker["limit"], darker["first_broken"], darker["about"]) == (1.0, 0.9, "numbers")  # a tenth of 60 is 6
    first = darker["levels"][0]
    assert (first["unchanged"], first["refused"]) == (0.0, 0)
    assert first["loss"] == pytest.approx(1.0, abs=0.1)  # from 4.0 to half of 12 + 4: two errors of opposite signs
    assert by_name(record)["jpeg"]["first_broken"] is None
    assert record["card"][0]["sentence"] == "Light must not fall: at 90 % numbers no longer hold."
    page = html.unescape((tmp_path / "out" / "stress.html").read_text()).replace("\u00a0", " ")
    for said in ("Numbers unchanged", "Mean absolute error", "Tolerances lost", "err by 4.000 on average"):
        assert said in page
    assert "Verdicts unchanged" not in page
    wide = stress(bundle, labels, sweeps=["darker"], tolerance=25.0, update=False)
    assert (wide["tolerance"]["from"], wide["limits"]["darker"]) == ("given", 0.8)  # 0.7 moves those above 83


def test_a_tolerance_is_for_numbers(bundle: Path, photos: Path) -> None:
    with pytest.raises(UserError, match="A tolerance must stand beside bundles that predict numbers"):
        stress(bundle, photos, tolerance=1.0)


def test_photos_that_cannot_be_used_are_told(bundle: Path, tmp_path: Path) -> None:
    for name in ("dark", "bright"):
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "a.png").write_bytes(b"no photo")
    with pytest.raises(CatalogError, match=r"None of the photos can be used\. `teliti check DATA` says why\.$"):
        stress(bundle, tmp_path / "broken")
