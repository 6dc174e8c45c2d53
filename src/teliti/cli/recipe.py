"""`teliti recipe`: show what a run would do, list the package's recipes and every key, start a recipe file."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, print_line, print_sentences, stdout_console
from teliti.cli.recipe_options import DEFAULT_RECIPE, RecipeOptions
from teliti.errors import RecipeError

_NEW_FILE = Path("recipe.toml")

app = App(
    name="recipe", help_format="plaintext", help_epilogue="", usage="Usage: teliti recipe show|list|schema|new ..."
)


@app.command
def show(
    name: str | None = None,
    /,
    *,
    recipe: RecipeOptions = DEFAULT_RECIPE,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Print the recipe that these options describe, every key written out.

    Args:
        name: A recipe that comes with the package, in the place of --recipe; `teliti recipe list` names them.
        recipe: Which recipe.
        output: How to speak.
    """
    from teliti.recipe import dump_recipe, recipe_values

    chosen = _named(name, recipe).load()
    if output.json:
        print_json({"schema": 1, "recipe": recipe_values(chosen)})
    else:
        sys.stdout.write(dump_recipe(chosen))
    return 0


def _named(name: str | None, recipe: RecipeOptions) -> RecipeOptions:
    if name is None:
        return recipe
    if recipe.recipe is not None:
        raise RecipeError(f"--recipe must stand without NAME, got {name!r}.", hint="Leave one of the two out.")
    from teliti.recipe.shipped import shipped_recipe

    return replace(recipe, recipe=shipped_recipe(name))


@app.command(name="list")
def list_recipes(*, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Name the recipes that come with the package, and what each is for.

    Args:
        output: How to speak.
    """
    from teliti.recipe.shipped import about_recipe, shipped_recipe, shipped_recipes

    rows = [
        {"name": name, "about": about_recipe(name), "file": str(shipped_recipe(name))} for name in shipped_recipes()
    ]
    if output.json:
        print_json({"schema": 1, "recipes": rows})
        return 0
    console = stdout_console()
    for row in rows:
        print_line(console, row["name"], style="bold")
        print_sentences(console, [row["about"]], mark=" ")
    print_line(console, "")
    print_line(console, "teliti recipe show NAME prints one, teliti recipe new FILE --from NAME writes it to a file.")
    return 0


@app.command
def schema(*, output: OutputOptions = DEFAULT_OUTPUT) -> int:  # noqa: ARG001 - the same options for every verb
    """Print the JSON Schema of a recipe: every key, its range and its default.

    Args:
        output: How to speak; the schema is one JSON document anyway.
    """
    from teliti.recipe import recipe_schema

    sys.stdout.write(json.dumps(recipe_schema(), indent=2) + "\n")
    return 0


@app.command
def new(
    file: Annotated[Path, Parameter(allow_leading_hyphen=True)] = _NEW_FILE,
    /,
    *,
    source: Annotated[str | None, Parameter(name="--from", metavar="NAME")] = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Write a recipe file to start from: every key with its meaning and default, or a recipe of the package.

    Args:
        file: Where to; "-" prints it.
        source: A recipe that comes with the package; `teliti recipe list` names them.
        output: How to speak.
    """
    from teliti.files import write_text_atomic

    text = _start(source)
    if file == Path("-"):
        sys.stdout.write(text)
        return 0
    if file.exists():
        raise RecipeError(f'"{file}" must be a new file, got one that exists.', hint="Choose another name.")
    write_text_atomic(file, text)
    if output.json:
        print_json({"schema": 1, "file": str(file)})
    else:
        command = f"teliti train DATA --recipe {shlex.quote(str(file))}"
        print_line(stdout_console(), f'"{file}" is written. Change what you need, then: {command}')
    return 0


def _start(source: str | None) -> str:
    if source is None:
        from teliti.cli.starter import starter_recipe

        return starter_recipe()
    from teliti.recipe.shipped import shipped_recipe

    return shipped_recipe(source).read_text(encoding="utf-8")
