"""`teliti recipe`: what a run would do, every key, and a file to start from."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from teliti.cli.starter import starter_recipe
from teliti.recipe import Recipe, load_recipe, parse_recipe, recipe_schema
from teliti.recipe.shipped import shipped_recipe, shipped_recipes


def test_show_prints_toml_that_loads_again(run, tmp_path: Path) -> None:
    code, out, _ = run("recipe", "show", "--preset", "fast", "--set", "seed=11")
    assert code == 0
    (tmp_path / "shown.toml").write_text(out, encoding="utf-8")
    assert load_recipe(tmp_path / "shown.toml") == load_recipe(preset="fast", overrides=["seed=11"])


def test_show_for_machines(run) -> None:
    record = json.loads(run("recipe", "show", "--json")[1])
    assert record["schema"] == 1
    assert parse_recipe(record["recipe"]) == Recipe()


def test_show_refuses_what_train_would_refuse(run) -> None:
    code, _, err = run("recipe", "show", "--set", "data.fit=squeeze")
    assert code == 2
    assert "data.fit" in err


def test_schema_is_one_json_document(run) -> None:
    assert json.loads(run("recipe", "schema")[1]) == recipe_schema()


def test_a_new_recipe_is_the_default_recipe(run, tmp_path: Path) -> None:
    file = tmp_path / "my parts.toml"
    code, out, _ = run("recipe", "new", str(file))
    assert code == 0
    assert f"teliti train DATA --recipe '{file}'" in out
    assert load_recipe(file) == Recipe()


def test_every_shown_default_is_the_models_own() -> None:
    taken_up = re.sub(r"(?m)^#(\w+ = )", r"\1", starter_recipe())
    values = tomllib.loads(taken_up)
    assert parse_recipe(values) == Recipe()
    assert values["data"]["fit"] == "letterbox"
    assert values["data"]["split"] == {"train": 0.6, "val": 0.2, "test": 0.2}


def test_every_key_is_named_and_explained() -> None:
    text = starter_recipe()
    for section, model in [("", Recipe), *((name, f.annotation) for name, f in Recipe.model_fields.items())]:
        for name, field in getattr(model, "model_fields", {}).items():
            if name == "layers":  # an array of tables: shown by an example, as are prepare and augment
                assert "# [[model.layers]]" in text
            elif section or name == "seed":
                assert re.search(rf"(?m)^#.*\n# {field.alias or name} is unset\.|^#.*\n#{field.alias or name} = ", text)
    assert '"letterbox" | "stretch" | "crop"' in text
    assert "a number from 0 to 1" in text
    assert max(map(len, text.splitlines())) <= 120


def test_a_new_recipe_can_be_printed(run) -> None:
    assert run("recipe", "new", "-")[1] == starter_recipe()


def test_an_existing_file_is_left_alone(run, tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text("seed = 3\n")
    code, _, err = run("recipe", "new", str(file))
    assert code == 2
    assert "must be a new file, got one that exists" in err
    assert file.read_text() == "seed = 3\n"


def test_new_for_machines(run, tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    assert json.loads(run("recipe", "new", str(file), "--json")[1]) == {"schema": 1, "file": str(file)}


def test_the_recipes_of_the_package_are_listed_with_what_they_are_for(run) -> None:
    code, out, _ = run("recipe", "list")
    assert code == 0
    for name in shipped_recipes():
        assert name in out
    rows = json.loads(run("recipe", "list", "--json")[1])["recipes"]
    assert [row["name"] for row in rows] == list(shipped_recipes())
    assert all(row["about"].endswith(".") and Path(row["file"]).is_file() for row in rows)


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_of_the_package_is_shown_and_written_as_it_is(run, name: str, tmp_path: Path) -> None:
    code, out, _ = run("recipe", "show", name, "--set", "seed=11")
    assert code == 0
    expected = load_recipe(shipped_recipe(name), overrides=["seed=11"])
    assert parse_recipe(tomllib.loads(out)) == expected
    assert run("recipe", "new", str(tmp_path / "own.toml"), "--from", name)[0] == 0
    assert (tmp_path / "own.toml").read_bytes() == shipped_recipe(name).read_bytes()


def test_a_recipe_that_the_package_does_not_have(run, tmp_path: Path) -> None:
    for words in (("show", "lenett"), ("new", str(tmp_path / "own.toml"), "--from", "lenett")):
        code, _, err = run("recipe", *words)
        assert code == 2
        assert 'Did you mean "lenet"?' in err
    assert not (tmp_path / "own.toml").exists()
    code, _, err = run("recipe", "show", "lenet", "--recipe", "mine.toml")
    assert code == 2
    assert "--recipe must stand without NAME" in err
