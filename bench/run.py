"""Run every benchmark of this folder, or the named ones, and print its table; `--write` keeps it.

A benchmark is a file `bench_<topic>.py` with `run() -> dict`: `name` (the title), `rows` (a list of records with
the same keys, one table row each) and `about` (what was compared and how, one paragraph; may be absent).
"""

from __future__ import annotations

import argparse
import importlib.util
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER.parent / "docs" / "results"


def find_benchmarks(folder: Path, *, topics: list[str]) -> list[Path]:
    """The benchmark files of a folder in name order; those of the named topics only, when any are named.

    Raises:
        SystemExit: a topic that has no file.
    """
    found = {path.stem.removeprefix("bench_"): path for path in sorted(folder.glob("bench_*.py"))}
    if unknown := [topic for topic in topics if topic not in found]:
        raise SystemExit(f"No benchmark named {', '.join(unknown)}. There are: {', '.join(found) or 'none'}.")
    return [path for topic, path in found.items() if not topics or topic in topics]


def run_benchmark(path: Path) -> dict[str, Any]:
    """Import a benchmark file and run it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise SystemExit(f'"{path}" cannot be imported.')
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return dict(module.run())


def render_markdown(result: dict[str, Any], *, command: str, hardware: str, day: str) -> str:
    """A result as a Markdown page: what, on what, when, by which command, and the table."""
    rows = result["rows"]
    keys = list(rows[0])
    table = [f"| {' | '.join(keys)} |", f"|{' --- |' * len(keys)}"]
    table += [f"| {' | '.join(str(row[key]) for key in keys)} |" for row in rows]
    paragraphs = [f"# {result['name']}", result.get("about", ""), "\n".join(table),
                  f"Measured on {day} with `{command}` on {hardware}."]  # fmt: skip
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def describe_hardware() -> str:
    """Processor, cores this process may use, system and Python, in a phrase."""
    from teliti.runtime import available_cores, environment_record

    record = environment_record(threads=available_cores())
    processor = record.get("processor") or platform.machine()
    return f"{processor}, {available_cores()} cores, {platform.system()}, Python {platform.python_version()}"


def main() -> int:
    """Run what was asked for; 1 when there is nothing to run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("topics", nargs="*", help="which benchmarks; all of them when none is named")
    parser.add_argument("--write", action="store_true", help="keep the tables as docs/results/<topic>.md")
    arguments = parser.parse_args()
    paths = find_benchmarks(FOLDER, topics=arguments.topics)
    if not paths:
        print(f"There is no bench_*.py in {FOLDER}.", file=sys.stderr)
        return 1
    hardware = describe_hardware()
    day = datetime.now(tz=UTC).date().isoformat()
    for path in paths:
        topic = path.stem.removeprefix("bench_")
        page = render_markdown(run_benchmark(path), command=f"make bench ARGS={topic}", hardware=hardware, day=day)
        print(page)
        if arguments.write:
            (RESULTS / f"{topic}.md").write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
