"""Policy files: what is written is read back, and every mistake says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teliti.errors import RecipeError, StorageError
from teliti.transforms.augment import build_augment
from teliti.transforms.policy_file import (
    Measured,
    Policy,
    PolicyEntry,
    expand_policies,
    read_policy,
    write_policy,
)
from teliti.transforms.policy_space import SEARCH_SPACE, candidates_of

SHOWN = Measured(gain=0.02, interval=(0.01, 0.03), accuracy_gain=0.005, status="shown", repeats=15, photos=200)
FLIP = PolicyEntry(step="flip", horizontal=0.5, measured=SHOWN)
POLICY = Policy(name="cells", made_from={"source": "elpv", "photos": 1575}, augment=(FLIP, PolicyEntry(step="noise")))


def write(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_policy_is_read_back_equal(tmp_path: Path) -> None:
    write_policy(tmp_path / "a.toml", POLICY)
    assert read_policy(tmp_path / "a.toml") == POLICY
    assert (tmp_path / "a.toml").read_text(encoding="utf-8").startswith("schema = 1\n")


def test_steps_are_entries_of_a_recipe() -> None:
    assert POLICY.steps == [{"step": "flip", "horizontal": 0.5}, {"step": "noise"}]
    assert build_augment(POLICY.steps).operations[0].horizontal == 0.5


def test_an_empty_policy_is_a_policy(tmp_path: Path) -> None:
    write_policy(tmp_path / "a.toml", Policy(name="nothing helped"))
    assert read_policy(tmp_path / "a.toml").steps == []


@given(
    gain=st.floats(-1e3, 1e3),
    width=st.floats(0.0, 1e3),
    accuracy=st.one_of(st.none(), st.floats(-1.0, 1.0)),
    name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
)
def test_any_measurement_survives_the_file(gain, width, accuracy, name, tmp_path_factory) -> None:
    found = Measured(
        gain=gain, interval=(gain - width, gain + width), accuracy_gain=accuracy, status="unproven", repeats=2, photos=9
    )
    policy = Policy(name=name, measured=found, augment=(PolicyEntry(step="blur", sigma=2.0, measured=found),))
    path = tmp_path_factory.mktemp("policy") / "p.toml"
    write_policy(path, policy)
    assert read_policy(path) == policy


def test_a_policy_entry_is_replaced_by_what_its_file_holds(tmp_path: Path) -> None:
    write_policy(tmp_path / "a.toml", POLICY)
    entries = [{"step": "zoom"}, {"step": "policy", "file": str(tmp_path / "a.toml")}, {"step": "jpeg"}]
    assert [entry["step"] for entry in expand_policies(entries)] == ["zoom", "flip", "noise", "jpeg"]
    assert expand_policies(expand_policies(entries)) == expand_policies(entries)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = 1", r"name is missing"),
        ('schema = 2\nname = "a"', r"schema must be 1, got 2"),
        ('name = "a"\nautor = "me"', r"autor is not a key of a policy"),
        ('name = ""', r"name must be .*at least 1 character"),
        ("name = 7", r"name must be a valid string, got 7"),
        ('name = "a"\n[[augment]]\nhorizontal = 1', r"augment\.0\.step is missing"),
        (
            'name = "a"\n[[augment]]\nstep = "flip"\n'
            '[augment.measured]\ngain = 1.0\nstatus = "sure"\nrepeats = 1\nphotos = 1',
            r"augment\.0\.measured\.status must be 'shown' or 'unproven', got 'sure'",
        ),
        (
            'name = "a"\n[measured]\ngain = 1.0\ninterval = [2.0, 1.0]\nstatus = "shown"\nrepeats = 1\nphotos = 1',
            r"measured must be interval must rise|interval must rise, got \[2.0, 1.0\]",
        ),
        (
            'name = "a"\n[measured]\ngian = 1.0\ngain = 1.0\nstatus = "shown"\nrepeats = 1\nphotos = 1',
            r'measured\.gian is not a key of a policy.*Did you mean "gain"',
        ),
        ('name = "a"\n[[augment]]\nstep = "policy"\nfile = "b.toml"', r"must hold operations, got a policy in it"),
        ("name = ", r"could not be read"),
    ],
)
def test_mistakes_in_a_file(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        read_policy(write(tmp_path, text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r'Policy ".*nowhere.toml" does not exist.*--search'):
        read_policy(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    "entry", [{"step": "policy"}, {"step": "policy", "file": "a", "p": 0.5}, {"step": "policy", "file": 3}]
)
def test_a_policy_entry_has_a_file_and_nothing_else(entry: dict) -> None:
    with pytest.raises(
        RecipeError, match=r"augment step 2 \(policy\) must have one parameter, file, got step = 'policy'"
    ):
        expand_policies([{"step": "flip"}, entry])


def test_a_policy_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be written"):
        write_policy(tmp_path / "file" / "a.toml", POLICY)


def test_every_candidate_of_the_search_can_be_built() -> None:
    from teliti.transforms import policy_named  # noqa: F401  # registers the named ones

    entries = candidates_of()
    assert len(entries) == sum(map(len, SEARCH_SPACE.values()))
    for entry in entries:
        (operation,) = build_augment([entry]).operations
        assert operation.step == entry["step"]


def test_mild_strengths_come_before_strong_ones() -> None:
    space = {"a": ({"x": 1}, {"x": 2}), "b": ({},), "c": ({"y": 1}, {"y": 2}, {"y": 3})}
    steps = [(entry["step"], *entry.values())[0:3:2] for entry in candidates_of(space)]
    assert steps == [("a", 1), ("b",), ("c", 1), ("a", 2), ("c", 2), ("c", 3)]
