"""The search on real photos: what is cached, what is sealed, what the policy file holds, how little time is enough."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import TINY_RECIPE
from parts import write_parts
from teliti.cache import RowCache
from teliti.errors import RecipeError, UserError
from teliti.metrics.intervals import CONFIDENCE
from teliti.recipe import parse_recipe
from teliti.training.features.engines import PHOTOS_PER_CALL
from teliti.transforms.augment import photo_rng
from teliti.transforms.policy_file import read_policy
from teliti.types import SilentReporter
from teliti.workflow.policies.findings import Candidate, Finding
from teliti.workflow.policies.measures import Gain
from teliti.workflow.policies.photos import build_policy_chain, entry_words, open_trial_photos
from teliti.workflow.policy_compare import compare_policy, measure_policy
from teliti.workflow.policy_search import search_policy
from teliti.workflow.shared.paired import Estimate

SPACE = {
    "flip": ({"horizontal": 1.0},),
    "noise": ({"std": (40.0, 60.0)},),
    "rotate": ({"degrees": 5.0}, {"degrees": 45.0}),
    "decolourise": ({"strength": 0.0},),
}
RECIPE = parse_recipe(TINY_RECIPE)

pytestmark = pytest.mark.usefixtures("trained_bundle")  # its exported backbone is the one used here


@pytest.fixture(scope="module")
def record(parts_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    out = tmp_path_factory.mktemp("search") / "found.toml"
    return search_policy(parts_folder, recipe=RECIPE, out=out, space=SPACE)


def open_parts(folder: Path, *, cache: RowCache | None = None):
    return open_trial_photos(str(folder), RECIPE, cache=cache or RowCache(), reporter=SilentReporter(), most_views=2)


def test_every_candidate_has_a_row(record: dict) -> None:
    assert {row["factors"]["augment"] for row in record["rows"]} == {
        "flip horizontal=1", "noise std=(40.0, 60.0)", "rotate degrees=5", "rotate degrees=45",
        "decolourise strength=0",
    }  # fmt: skip
    (idle,) = [row for row in record["rows"] if row["stage"] == "no effect"]
    assert idle["entry"] == {"step": "decolourise", "strength": 0.0}
    assert idle["gain"] is None


def test_what_is_confirmed_was_measured_on_the_other_half(record: dict) -> None:
    design = record["design"]
    assert design["first_half"] + design["second_half"] == record["photos"]
    for row in record["rows"]:
        if row["stage"] == "confirmed":
            assert row["photos"] == design["second_half"]
            assert row["repeats"] == 15 or row["repeats"] % 3 == 0
            assert row["affinity"] > 0.0
        elif row["gain"] is not None:
            assert row["photos"] <= design["first_half"]


def test_at_most_one_strength_of_an_operation_is_confirmed(record: dict) -> None:
    steps = [row["entry"]["step"] for row in record["rows"] if row["stage"] == "confirmed"]
    assert len(steps) == len(set(steps)) >= 1


def test_the_policy_follows_its_rule(record: dict) -> None:
    policy = read_policy(Path(record["out"]))
    confirmed = [row for row in record["rows"] if row["stage"] == "confirmed"]
    shown = [row["entry"] for row in confirmed if row["status"] == "shown"]
    best = [row["entry"] for row in confirmed[:1] if row["gain"] > 0.0]
    assert policy.steps == (shown or best)
    assert {entry.measured.status for entry in policy.augment} <= {"shown" if shown else "unproven"}
    assert policy.made_from["photos"] == record["photos"]
    assert policy.name == "found"


def test_sentences_say_when_nothing_is_shown(record: dict) -> None:
    said = " ".join(record["sentences"])
    if not any(row["status"] == "shown" for row in record["rows"]):
        assert "Nothing" in said
    assert "sealed" in said or "take part" in said


def test_the_same_search_finds_the_same(record: dict, parts_folder: Path, tmp_path: Path) -> None:
    """From the cache; the first round may be larger then, so that only what was confirmed is compared."""
    again = search_policy(parts_folder, recipe=RECIPE, out=tmp_path / "found.toml", space=SPACE)
    if again["design"] == record["design"]:
        assert [row["gain"] for row in again["rows"]] == [row["gain"] for row in record["rows"]]
        assert read_policy(tmp_path / "found.toml") == read_policy(Path(record["out"]))


def test_the_smallest_budget_still_answers(parts_folder: Path, tmp_path: Path) -> None:
    hurried = parse_recipe({**TINY_RECIPE, "train": {**TINY_RECIPE["train"], "budget": 0.01}})
    found = search_policy(parts_folder, recipe=hurried, out=tmp_path / "p.toml", space=SPACE)
    assert not found["complete"]
    assert sum(row["stage"] == "confirmed" for row in found["rows"]) == 1
    assert "The time budget ended the search early" in " ".join(found["sentences"])
    assert any(row["stage"] == "not tried" for row in found["rows"])


def test_no_photo_of_the_test_part_takes_part(parts_folder: Path) -> None:
    photos = open_parts(parts_folder)
    assert set(photos.rows.tolist()) == set(photos.plan.indices("train").tolist())
    assert not set(photos.rows.tolist()) & set(photos.plan.indices("test").tolist())
    assert "sealed" in photos.sentence


def test_views_are_computed_once(parts_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = open_parts(parts_folder, cache=RowCache(tmp_path))
    chain = build_policy_chain([{"step": "rotate"}])
    first = photos.view_features(chain, np.arange(6), views=2)
    passes = []
    engine = photos._engine
    monkeypatch.setattr(type(engine), "run", lambda self, batches: passes.append(1) or iter(()))  # noqa: ARG005
    assert np.array_equal(photos.view_features(chain, np.array([3, 1]), views=2), first[[3, 1]])
    assert passes == []


def test_a_view_is_the_augmented_prepared_photo(parts_folder: Path, tmp_path: Path) -> None:
    """The features of a view are those of that picture, saved and read as a photo of its own."""
    photos = open_parts(parts_folder, cache=RowCache(tmp_path))
    chain = build_policy_chain([{"step": "flip", "horizontal": 1.0}, {"step": "brightness", "factor": 0.5}])
    views = photos.view_features(chain, np.arange(3), views=2)
    assert not np.array_equal(views[:, 0], views[:, 1])
    place = int(photos.rows[0])
    image = photos._prepared(photos.photos.samples[place])
    augmented = chain(image, photo_rng(RECIPE.seed, photos.photos.fingerprints[place].digest, 1))
    batch = np.repeat(augmented[None], PHOTOS_PER_CALL[photos.setup.engine.name], axis=0)
    (expected,) = photos._engine.run([batch])
    assert np.allclose(views[0, 1], expected[0], atol=1e-5)


def test_many_photos_are_bounded_by_what_an_exact_head_takes(
    parts_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("teliti.workflow.policies.photos.EXACT_LIMIT", 36)
    photos = open_parts(parts_folder)
    assert 4 <= len(photos.rows) <= 16
    assert "drawn with the seed" in photos.sentence


def test_grey_photos_have_no_colour_to_change(tmp_path: Path) -> None:
    photos = open_parts(write_parts(tmp_path / "grey", per_class=8, colour=False))
    assert not photos.changes_photos(build_policy_chain([{"step": "colour_jitter"}]))
    assert photos.changes_photos(build_policy_chain([{"step": "brightness"}]))


def test_affinity_and_diversity_of_a_file(tmp_path: Path, parts_folder: Path) -> None:
    (tmp_path / "a.toml").write_text('name = "mirror"\n[[augment]]\nstep = "flip"\nhorizontal = 1.0\n')
    (tmp_path / "b.toml").write_text('name = "ruin"\n[[augment]]\nstep = "noise"\nstd = [120.0, 128.0]\n')
    mirror = measure_policy(parts_folder, tmp_path / "a.toml", recipe=RECIPE)
    ruin = measure_policy(parts_folder, tmp_path / "b.toml", recipe=RECIPE)
    assert mirror["affinity"] > ruin["affinity"]
    assert mirror["diversity"] > 0.0


def finding(mean: float, p_adjusted: float | None) -> Finding:
    gain = Gain(Estimate(mean, (mean - 1.0, mean + 1.0), 0.5), None, 15, 20)
    return Finding(Candidate({"step": "flip"}, build_policy_chain([])), "confirmed", gain, p_adjusted=p_adjusted)


@pytest.mark.parametrize(
    ("mean", "p_adjusted", "is_shown"), [(0.1, 0.01, True), (0.1, 0.2, False), (-0.1, 0.01, False), (0.1, None, False)]
)
def test_shown_is_positive_and_more_than_noise(mean: float, p_adjusted: float | None, is_shown: bool) -> None:
    assert CONFIDENCE == 0.95
    assert finding(mean, p_adjusted).is_shown is is_shown
    assert finding(mean, p_adjusted).to_record()["status"] == ("shown" if is_shown else "unproven")


def test_entries_in_words() -> None:
    assert entry_words({"step": "shift", "width": 0.05, "height": 0.1}) == "shift width=0.05 height=0.1"


def test_impossible_searches_are_refused(parts_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.toml").write_text("dear = 'diary'")
    with pytest.raises(UserError, match="views must be at least 1, got 0"):
        search_policy(parts_folder, recipe=RECIPE, views=0)
    with pytest.raises(UserError, match=r'notes.toml" is there already and is no policy.*--out'):
        search_policy(parts_folder, recipe=RECIPE, out=tmp_path / "notes.toml")
    with pytest.raises(UserError, match="none of the candidates does"):
        search_policy(parts_folder, recipe=RECIPE, space={"decolourise": ({"strength": 0.0},)})
    with pytest.raises(RecipeError, match="augmentation must be one of"):
        search_policy(parts_folder, recipe=RECIPE, space={"flap": ({},)})


def test_policies_that_cannot_be_compared(parts_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text('name = "nothing"')
    (tmp_path / "none.toml").write_text('name = "none"\n[[augment]]\nstep = "flip"')
    with pytest.raises(RecipeError, match=r'empty.toml" is empty'):
        compare_policy(parts_folder, tmp_path / "empty.toml", recipe=RECIPE)
    with pytest.raises(UserError, match='name must not be "none"'):
        compare_policy(parts_folder, tmp_path / "none.toml", recipe=RECIPE)


def test_a_policy_is_compared_with_none(parts_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from teliti.workflow import policy_compare

    (tmp_path / "a.toml").write_text('name = "mirror"\n[[augment]]\nstep = "flip"\nhorizontal = 1.0\n')
    monkeypatch.setattr(policy_compare, "override_recipe", lambda recipe, values: (recipe, values))
    monkeypatch.setattr(policy_compare, "compare_variants", lambda *words, **choices: {"words": words, **choices})
    record = compare_policy(parts_folder, tmp_path / "a.toml", recipe=RECIPE, repeats=3, measure="recall")
    variants, source = record["words"]
    flip = {"step": "flip", "horizontal": 1.0}
    assert variants == {"none": (RECIPE, {"augment": []}), "mirror": (RECIPE, {"augment": [flip]})}
    assert (source, record["repeats"], record["measure"]) == (str(parts_folder), 3, "recall")
    assert record["policy"]["entries"] == [flip]
    assert record["affinity"] > 0.0
    assert record["diversity"] > 0.0
