"""A search without photos, as a process that a test can kill: coordinator FOLDER TRIALS WORKERS [STORAGE OWNER].

It writes the process id of a worker that is at work to FOLDER/worker, and a line to FOLDER/begun for each trial.
"""

from __future__ import annotations

import sys
from pathlib import Path

import works
from teliti.tuning.engines import LocalEngine, Task
from teliti.tuning.space import Parameter, Space
from teliti.tuning.study import Study

SPACE = Space((Parameter("x", low=0.0, high=10.0),))
SECONDS = 0.15


def open_study(folder: Path, storage: str | None = None, owner: str = "one") -> Study:
    kept = folder / "study.journal" if storage is None else storage
    return Study(SPACE, storage=kept, name="kills", owner=owner, seed=7, more_is_better=True)


def main(folder: Path, trials: int, workers: int, *where: str) -> None:
    study = open_study(folder, *where)

    def tasks():
        for number, point in study.ask(trials=trials):
            with (folder / "begun").open("a", encoding="utf-8") as file:
                file.write(f"{number} {point['x']!r}\n")
            yield Task(str(number), (SECONDS, point["x"]))

    def answer(_key: str, worker: int) -> None:
        (folder / "worker").write_text(str(worker), encoding="utf-8")

    with LocalEngine(workers, attempts=1000) as engine:
        for outcome in engine.run(tasks(), works.sleep_and_square, answer=answer):
            study.finish(int(outcome.key), outcome.value["value"], {"attempts": outcome.attempts})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
