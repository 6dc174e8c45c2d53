"""Does constraints.txt still belong to pyproject.toml? Needs no network.

Every requirement (base, extras, build system) must have a pin that satisfies it, every pin that names the project
as its reason must still be required, and no line may hold an address. Exit 1 with one line a problem otherwise.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)")
_REASON = re.compile(r"^    # (?:via )?\s*(?P<reason>\S.*)$")


def lock_problems(folder: Path) -> list[str]:
    """One sentence for each way in which the lock of a project folder does not fit its pyproject.toml."""
    required = _requirements(folder / "pyproject.toml")
    lines = (folder / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins, direct = _pins(lines)
    problems = [f"line {number} holds an address" for number, line in enumerate(lines, 1) if "://" in line]
    for requirement in required:
        name = canonicalize_name(requirement.name)
        versions = pins.get(name, [])
        if not versions:
            problems.append(f"{requirement} has no pin")
        problems += [f"{name}=={version} does not satisfy {requirement}" for version in versions
                     if not requirement.specifier.contains(version, prereleases=True)]  # fmt: skip
    names = {canonicalize_name(requirement.name) for requirement in required}
    return problems + [f"{name} is pinned for the project and no longer required" for name in sorted(direct - names)]


def _requirements(path: Path) -> list[Requirement]:
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    project = tables["project"]
    texts = [*project["dependencies"], *tables["build-system"]["requires"]]
    for extra in project["optional-dependencies"].values():
        texts += extra
    requirements = [Requirement(text) for text in texts]
    return [requirement for requirement in requirements if requirement.name != project["name"]]


def _pins(lines: list[str]) -> tuple[dict[str, list[str]], set[str]]:
    """Versions by name, and the names that stand there because the project itself asks for them."""
    pins: dict[str, list[str]] = {}
    direct: set[str] = set()
    name = ""
    for line in lines:
        if pin := _PIN.match(line):
            name = canonicalize_name(pin["name"])
            pins.setdefault(name, []).append(pin["version"])
        elif (reason := _REASON.match(line)) and reason["reason"].endswith("(pyproject.toml)"):
            direct.add(name)
    return pins, direct


def main() -> int:
    """Print the problems of this repository's lock; 1 when there are any."""
    problems = lock_problems(Path(__file__).resolve().parent.parent)
    for problem in problems:
        print(f"constraints.txt: {problem}", file=sys.stderr)
    if problems:
        print("Run `make lock` and commit the result.", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
