"""Rules of the source that no linter knows: forbidden readers of pickles, sizes, owners of libraries, clean files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "teliti"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

FORBIDDEN_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "__import__", "yaml.load", "yaml.unsafe_load", "torch.load", "torch.hub.load",
                   "joblib.load", "os.system", "os.popen"}  # fmt: skip
ROOMS_WITH_FOLDERS = ("training", "workflow")
LOADERS = ("models/adapt.py", "models/backbones.py")  # packaged weights, and the convert function; weights_only

OWNERS = {
    "cyclopts": ("cli",),
    "rich": ("cli",),
    "sqlite3": ("cache.py",),
    "sqlalchemy": ("journal/", "tuning/study.py"),
    "ray": ("tuning/ray_engine.py",),
    "fsspec": ("data/addresses.py",),
    "alembic": ("journal/",),
    "paho": ("serve/",),
    "fastapi": ("serve/",),
    "starlette": ("serve/",),
    "uvicorn": ("serve/",),
    "python_multipart": ("serve/",),
    "prometheus_client": ("serve/",),
    "matplotlib": ("report",),
    "tomli_w": ("recipe/", "transforms/policy_file.py"),
}


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or an attribute chain, empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def forbidden_uses(path: Path) -> list[str]:
    """What a file does that could run code out of a data file."""
    tree = parse(path)
    found = [f"{place(path)}: import {name}" for name in imported(tree) if name in FORBIDDEN_IMPORTS]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        pinned = place(path) in LOADERS and name == "torch.load" and keywords.get("weights_only") == "True"
        if (name in FORBIDDEN_CALLS and not pinned) or keywords.get("allow_pickle", "False") != "False":
            found.append(f"{place(path)} line {node.lineno}: {name}")
    return found


def test_no_file_can_run_code_from_data() -> None:
    assert [use for path in MODULES for use in forbidden_uses(path)] == []


def test_only_two_places_load_weights_that_are_not_safetensors() -> None:
    loaders = [path for path in MODULES for node in ast.walk(parse(path))
               if isinstance(node, ast.Call) and dotted(node.func) == "torch.load"]  # fmt: skip
    assert sorted(place(path) for path in loaders) == list(LOADERS)


@pytest.mark.parametrize("code", ["import pickle", "eval('1')", "import torch\ntorch.load('x', weights_only=False)",
                                  "import numpy\nnumpy.load('x', allow_pickle=True)"])  # fmt: skip
def test_the_search_finds_what_it_looks_for(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    (tmp_path / "bad.py").write_text(code, encoding="utf-8")
    assert forbidden_uses(tmp_path / "bad.py")


def test_print_stays_in_the_command_line_and_assert_in_the_tests() -> None:
    found = []
    for path in MODULES:
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Assert):
                found.append(f"{place(path)} line {node.lineno}: assert")
            is_print = isinstance(node, ast.Call) and dotted(node.func) == "print"
            if is_print and not place(path).startswith("cli/"):
                found.append(f"{place(path)} line {node.lineno}: print")
    assert found == []


def test_each_library_stays_with_its_owner() -> None:
    found = [
        f"{place(path)} imports {library}, which belongs to {' and '.join(OWNERS[library])}"
        for path in MODULES
        for library in imported(parse(path))
        if library in OWNERS and not place(path).startswith(OWNERS[library])
    ]
    assert found == []


def calls_at_doors(path: Path) -> list[str]:
    """Which files that stand directly in its room a file in a folder of that room imports."""
    room = path.relative_to(PACKAGE).parts[0]
    doors = {f"teliti.{room}.{door.stem}" for door in (PACKAGE / room).glob("*.py")}
    found = []
    for node in ast.walk(parse(path)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{name}" for name in names)]
        found += [f"{place(path)} imports {name}" for name in names if name in doors]
    return found


def test_folders_of_a_room_import_none_of_its_doors() -> None:
    inside = [path for path in MODULES if place(path).startswith(ROOMS_WITH_FOLDERS) and place(path).count("/") > 1]
    assert len(inside) > 50
    assert [call for path in inside for call in calls_at_doors(path)] == []


@pytest.mark.parametrize("code", ["from teliti.workflow.train import train", "from teliti.workflow import plan, train",
                                  "import teliti.workflow.train as job"])  # fmt: skip
def test_an_import_of_a_door_is_found(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    (tmp_path / "workflow" / "learning").mkdir(parents=True)
    (tmp_path / "workflow" / "train.py").touch()
    inside = tmp_path / "workflow" / "learning" / "fit.py"
    inside.write_text(f"import teliti.workflow.learning.parts\n{code}", encoding="utf-8")
    assert calls_at_doors(inside) == ["workflow/learning/fit.py imports teliti.workflow.train"]


def files_in_order(package: Path) -> list[str]:
    """Files of a package, each behind those it imports anywhere, be it in a function or for a type.

    The package's own `__init__.py` is left out: it gives a caller the names of all others, each when it is asked for.
    """
    needs: dict[str, set[str]] = {}
    for path in package.rglob("*.py"):
        if path.parent == package and path.stem == "__init__":
            continue
        froms = [node for node in ast.walk(parse(path)) if isinstance(node, ast.ImportFrom)]
        needs[name_of(path, package)] = {name for node in froms for name in files_read(node, package)}
    return list(TopologicalSorter(needs).static_order())


def name_of(path: Path, package: Path) -> str:
    """`teliti.models.heads`; of a folder's `__init__.py` the folder's."""
    inside = path.relative_to(package).with_suffix("").parts
    return ".".join([package.name, *(part for part in inside if part != "__init__")])


def files_read(node: ast.ImportFrom, package: Path) -> Iterator[str]:
    """The files of a package that an import reads: a name of a folder is a file in it, or of its `__init__.py`."""
    module = str(node.module)
    if module.partition(".")[0] != package.name:
        return
    folder = package.joinpath(*module.split(".")[1:])
    for alias in node.names:
        inside = folder / alias.name
        yield f"{module}.{alias.name}" if inside.with_suffix(".py").is_file() or inside.is_dir() else module


def test_all_files_stand_in_one_order() -> None:
    order = files_in_order(PACKAGE)
    assert order.index("teliti.models.head_layers") < order.index("teliti.models.heads")
    assert order.index("teliti.models.novelty_layer") < order.index("teliti.models.novelty")
    assert order.index("teliti.cli.trials") < order.index("teliti.cli.output") < order.index("teliti.cli.tune")
    assert len(order) >= len(MODULES)  # and the package itself, whose version some read


@pytest.mark.parametrize("code", ["from teliti.models.one import One", "from teliti.models import one"])
def test_a_circle_is_found(code: str, tmp_path: Path) -> None:
    room = tmp_path / "teliti" / "models"
    room.mkdir(parents=True)
    (room / "one.py").write_text("def make():\n    from teliti.models.two import Two", encoding="utf-8")
    (room / "two.py").write_text(f"if TYPE_CHECKING:\n    {code}", encoding="utf-8")
    with pytest.raises(CycleError, match="cycle"):
        files_in_order(room.parent)


def test_files_and_functions_stay_short() -> None:
    found = []
    for path in MODULES:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > MAX_FILE_LINES:
            found.append(f"{place(path)}: {lines} lines")
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    found.append(f"{place(path)}: {node.name} has {length} lines")
    assert found == []


def own_files() -> Iterator[Path]:
    """Every text file of the repository, without what is built or installed."""
    names = ("src", "tests", "docs", "bench", ".ci")
    for path in sorted(path for name in names for path in (ROOT / name).rglob("*") if path.is_file()):
        if "__pycache__" not in path.parts and path.suffix not in {".png", ".jpg"}:
            yield path
    yield from sorted(path for path in ROOT.glob("*") if path.is_file())


# Put together from pieces so that this file does not hold what it looks for.
ONE_MACHINE = re.compile("|".join([
    r"(?<![\w.])/(?:work|farm|root)/[a-z]", "py" + r"pi\.org", "python" + r"hosted", "npm" + r"js\.",
    "deb" + r"\.debian",
]))  # fmt: skip


def test_no_file_knows_one_machine_or_a_package_host() -> None:
    found = []
    for path in own_files():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if ONE_MACHINE.search(line):
                found.append(f"{path.relative_to(ROOT)} line {number}: {line.strip()[:80]}")
    assert found == []
