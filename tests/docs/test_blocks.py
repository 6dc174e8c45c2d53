"""What README and manual show is run: Python blocks marked `<!-- run -->`, TOML blocks, and every command line."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest

from teliti.cli.main import build_app
from teliti.recipe import load_recipe

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").glob("*.md")])
_BLOCK = re.compile(r"^(?P<mark><!-- run -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str, *, marked: bool = False) -> list:
    """Every block of a language as test parameters, named by page and place; `marked` ones alone where asked."""
    return [
        pytest.param(match["text"], id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, match in enumerate(_BLOCK.finditer(page.read_text(encoding="utf-8")), 1)
        if match["language"] == language and (match["mark"] or not marked)
    ]


def command_lines() -> list:
    """Every line of an unnamed block that calls teliti, without its comment; of services and containers likewise."""
    found = {}
    for parameter in blocks(""):
        for line in parameter.values[0].splitlines():
            if line.startswith("teliti "):
                found[shlex.join(shlex.split(line, comments=True)[1:])] = None
    for parameter in [*blocks("ini"), *blocks("text"), *blocks("dockerfile")]:
        for line in parameter.values[0].splitlines():
            if called := re.match(r"(?:ExecStart=)?/opt/teliti/bin/teliti (.+)", line):
                found[called[1]] = None
            elif line.startswith("ENTRYPOINT "):
                found[shlex.join(json.loads(line.partition(" ")[2])[1:])] = None
    return list(found)


@pytest.mark.usefixtures("trained_bundle")  # whose exported backbone the block's job takes from the cache
@pytest.mark.parametrize("code", blocks("python", marked=True))
def test_python_block_runs(
    code: str, tmp_path: Path, parts_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(parts_folder, tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "documentation block", "exec"), {"__name__": "documentation"})
    assert capsys.readouterr().out.strip()
    assert (tmp_path / "runs" / "first" / "report.html").is_file()


def test_readme_example_is_short() -> None:
    (example,) = [parameter.values[0] for parameter in blocks("python", marked=True) if "README" in parameter.id]
    assert len(example.splitlines()) <= 12


@pytest.mark.parametrize("text", blocks("toml"))
def test_toml_block_is_a_recipe(text: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    recipe = load_recipe(path)
    for section, keys in tomllib.loads(text).items():
        read = getattr(recipe, section)
        if isinstance(keys, dict):
            assert set(keys) <= read.model_fields_set
        else:
            assert len(read) == len(keys) if isinstance(keys, list) else read == keys


@pytest.mark.parametrize("line", command_lines())
def test_command_line_is_understood(line: str) -> None:
    command, bound, _ = build_app().parse_args(shlex.split(line), print_error=False, exit_on_error=False)
    assert callable(command)
    overrides = bound.arguments.get("set_") or bound.arguments.get("set") or ()
    load_recipe(overrides=overrides)


def test_manual_shows_the_verbs() -> None:
    shown = {line.split()[0] for line in command_lines()}
    assert {"train", "predict", "evaluate", "recipe"} <= shown


def test_services_and_containers_are_among_the_lines() -> None:
    lines = command_lines()
    assert any("${CREDENTIALS_DIRECTORY}/token" in line for line in lines)
    assert any("/run/secrets/token" in line for line in lines)
    assert any(line.startswith("watch /opt/bundle /line/in") for line in lines)
