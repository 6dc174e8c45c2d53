"""`teliti recipe`: show what a run would do, list every key, start a recipe file."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, print_line, stdout_console
from teliti.cli.recipe_options import DEFAULT_RECIPE, RecipeOptions
from teliti.errors import RecipeError

_NEW_FILE = Path("recipe.toml")

app = App(name="recipe", help_format="plaintext", help_epilogue="", usage="Usage: teliti recipe show|schema|new ...")


@app.command
def show(*, recipe: RecipeOptions = DEFAULT_RECIPE, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Print the recipe that these options describe, every key written out.

    Args:
        recipe: Which recipe.
        output: How to speak.
    """
    from teliti.recipe import dump_recipe, recipe_values

    chosen = recipe.load()
    if output.json:
        print_json({"schema": 1, "recipe": recipe_values(chosen)})
    else:
        sys.stdout.write(dump_recipe(chosen))
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
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Write a recipe file to start from: every key with its meaning and default.

    Args:
        file: Where to; "-" prints it.
        output: How to speak.
    """
    from teliti.cli.starter import starter_recipe
    from teliti.files import write_text_atomic

    if file == Path("-"):
        sys.stdout.write(starter_recipe())
        return 0
    if file.exists():
        raise RecipeError(f'"{file}" must be a new file, got one that exists.', hint="Choose another name.")
    write_text_atomic(file, starter_recipe())
    if output.json:
        print_json({"schema": 1, "file": str(file)})
    else:
        command = f"teliti train DATA --recipe {shlex.quote(str(file))}"
        print_line(stdout_console(), f'"{file}" is written. Change what you need, then: {command}')
    return 0
