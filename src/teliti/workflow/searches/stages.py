"""The stages of a search: trials, finals, the one look at the test part, and the record of it all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from teliti import __version__
from teliti.errors import RecipeError, RunError
from teliti.runtime import default_threads, environment_record
from teliti.tuning.engines import Engine, Outcome, Task
from teliti.tuning.ledger import Ledger, do_missing
from teliti.tuning.space import Point, Space
from teliti.tuning.study import Study, TrialRow
from teliti.types import Record, Reporter
from teliti.workflow.learning.learn import learns_network
from teliti.workflow.searches.finalists import AS_GIVEN, Finalist, choose_finalist, fitting_finalists
from teliti.workflow.searches.shared_base import SharedBase
from teliti.workflow.searches.trainings import Trainer, Training
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan
from teliti.workflow.shared.run_folder import RunFolder

DEFAULT_TRIALS = 40
_MOST_TRIALS = 100_000
_SHARE_OF_TRIALS = 0.7  # of a budget; the finals get the rest
_HOPELESS = 5  # trials that fail before any has worked
_ON_TEST = "the winner on test"


@runtime_checkable
class TrialReporter(Protocol):
    """A reporter that can show the trials of a search as they end."""

    def trial(self, row: Record) -> None:
        """{"number", "factors", "state", "mean", "measure", "seconds", "best": so far, "earlier": than this start}."""
        ...


@dataclass(frozen=True)
class SearchJob:
    """What every stage of one search shares; `spent_s` gives the seconds so far, those before an interruption too."""

    folder: RunFolder
    request: Record
    photos: Photos
    plan: SplitPlan
    shared: SharedBase
    space: Space
    study: Study
    engine: Engine
    trainer: Trainer
    ledger: Ledger
    reporter: Reporter
    spent_s: Callable[[], float]

    @property
    def measure(self) -> str:
        return str(self.request["measure"])

    @property
    def sign(self) -> float:
        return 1.0 if self.study.more_is_better else -1.0


def search_trials(job: SearchJob) -> None:
    """Ask, do and tell until there are enough trials or the time is over."""
    request, study = job.request, job.study
    wanted = request["trials"] or (DEFAULT_TRIALS if request["budget_s"] is None else _MOST_TRIALS)

    def goes_on() -> bool:
        budget_s = request["budget_s"]
        return budget_s is None or not study.rows() or job.spent_s() < _SHARE_OF_TRIALS * budget_s

    def tasks() -> Iterator[Task[Training]]:
        for number, point in study.ask(trials=wanted, goes_on=goes_on):
            try:
                training = job.shared.training(job.space.values(point), told=job.measure)
            except RecipeError as error:
                study.fail(number, error.message)
                continue
            yield Task(str(number), _warm(job, training))

    def answer(key: str, question: Any) -> bool:
        step, value = question
        return study.report(int(key), step, value if job.study.more_is_better else -value)

    total = wanted if wanted < _MOST_TRIALS else None
    with job.reporter.task("Trying", total) as advance:
        advance(_tell_earlier(job))
        asks = learns_network(job.shared.base)  # a head is fitted at once
        for outcome in job.engine.run(tasks(), job.trainer, answer=answer if asks else None):
            _tell(job, outcome)
            advance(1)


def _tell_earlier(job: SearchJob) -> int:
    """Show the trials that were done when the search was interrupted; how many there are."""
    rows = job.study.rows()
    for number, row in enumerate(rows, 1):
        _show(job, row, rows[:number], earlier=True)
    return len(rows)


def _show(job: SearchJob, row: TrialRow, rows: Sequence[TrialRow], *, earlier: bool) -> None:
    if isinstance(job.reporter, TrialReporter):
        told = {**_trial_record(row), "measure": job.measure, "best": row is _best(job, rows), "earlier": earlier}
        job.reporter.trial(told)


def _warm(job: SearchJob, training: Training) -> Training:
    return job.shared.warm(training, job.trainer, engine=job.engine, reporter=job.reporter)


def _tell(job: SearchJob, outcome: Outcome[Record]) -> None:
    number, found = int(outcome.key), outcome.value
    facts = {} if found is None else {key: found[key] for key in ("seconds", "size")}
    if found is None:
        job.study.fail(number, outcome.trouble.message if outcome.trouble else "")
    elif found["stopped"]:
        job.study.prune(number, facts)
    elif found["values"][job.measure] is None:
        job.study.fail(number, f"{job.measure} is undefined on these photos")
    else:
        job.study.finish(number, float(found["values"][job.measure]), facts)
    rows = job.study.rows()
    row = next(row for row in rows if row.number == number)
    _show(job, row, rows, earlier=False)
    if len(rows) >= _HOPELESS and all(row.state == "failed" for row in rows):
        hint = outcome.trouble.hint if outcome.trouble else ""
        raise RunError(f"None of the first {len(rows)} trials could be done: {row.reason}", hint=hint)


def measure_finalists(job: SearchJob) -> Record:
    """The best trials and the recipe as given, trained on every division."""
    done = [row for row in job.study.rows() if row.state == "done" and row.value is not None]
    done.sort(key=lambda row: (-job.sign * float(row.value or 0.0), row.number))
    points: dict[str, Mapping[str, Any]] = {AS_GIVEN: {}}
    points |= {f"trial {row.number}": row.point for row in _fitting(_different(done, job), job)}
    tasks = dict[str, Training]()
    for name, point in points.items():
        for number in range(job.request["repeats"]):
            values = job.space.values(cast("Point", point))
            training = job.shared.training(values, division=1 + number, measured_on="test", seed_shift=number)
            tasks[f"{name}, repeat {number}"] = _warm(job, training)
    do_missing(tasks, job.trainer, engine=job.engine, ledger=job.ledger, title="Measuring finalists",
               reporter=job.reporter)  # fmt: skip
    measured = [_finalist(job, name, point) for name, point in points.items()]
    finalists = [one for one in measured if one is not None]
    if not finalists:
        raise RunError("No finalist could be trained on every division.", hint="See the trials in tune.json.")
    plan = job.trainer.divisions[1].plan
    ratio = len(plan.indices("test")) / max(1, len(plan.indices("train")))
    return choose_finalist(finalists, measure=job.measure, more_is_better=job.study.more_is_better, test_to_train=ratio)


def _different(rows: Sequence[TrialRow], job: SearchJob) -> list[TrialRow]:
    """The best trial of each combination of choices: those that differ in a number alone are all but the same."""
    kinds = [one.name for one in job.space.parameters if one.choices]
    kept = dict[tuple[str, ...], TrialRow]()
    for row in rows:
        places = [str(row.point.get(name)) for name in kinds]
        kept.setdefault(tuple(places) if kinds else (str(row.number),), row)
    return list(kept.values())


def _fitting(rows: list[TrialRow], job: SearchJob) -> list[TrialRow]:
    """The best of these, as many as are wanted and fit the rest of the budget; one at least."""
    wanted, budget_s = rows[: job.request["finalists"]], job.request["budget_s"]
    if budget_s is None or len(wanted) < 2:
        return wanted
    seconds = [float(row.facts.get("seconds", 0.0)) for row in wanted]
    left_s = (budget_s - job.spent_s()) * job.engine.slots
    count = fitting_finalists(seconds, repeats=job.request["repeats"], left_s=left_s)
    if count < len(wanted):
        job.reporter.note(f"The rest of the budget holds {count} of {len(wanted)} finalists, beside the recipe given.")
    return wanted[:count]


def _finalist(job: SearchJob, name: str, point: Mapping[str, Any]) -> Finalist | None:
    records = [job.ledger[f"{name}, repeat {number}"] for number in range(job.request["repeats"])]
    values = [record.get("values", {}).get(job.measure) for record in records]
    if any(value is None for value in values):
        return None
    size = sum(record["size"] for record in records) / len(records)
    seconds = sum(record["seconds"] for record in records) / len(records)
    return Finalist(name, dict(point), [float(value) for value in values], size, seconds)


def measure_winner(job: SearchJob, factors: Mapping[str, Any]) -> Record | None:
    """The winner's measures on the sealed test part; looked at once, and kept. None where there is no such part."""
    if job.plan.folds is not None:
        return None
    training = job.shared.training(job.space.values(cast("Point", factors)), measured_on="test")
    do_missing({_ON_TEST: _warm(job, training)}, job.trainer, engine=job.engine, ledger=job.ledger,
               title="Measuring the winner", reporter=job.reporter)  # fmt: skip
    return dict(job.ledger[_ON_TEST]["values"])


def record_search(
    job: SearchJob, state: Record, finals: Record, *, factors: Mapping[str, Any], test: Record | None
) -> Record:
    """What `tune` returns, but for the winner's file and the seconds.

    Args:
        job: Done.
        state: Of its folder.
        finals: From `measure_finalists`.
        factors: Of the winner.
        test: From `measure_winner`.
    """
    rows = job.study.rows()
    best = next(row for row in finals["rows"] if row["name"] == finals["winner"])
    return {
        "schema": 1,
        "version": __version__,
        "title": f"Search on {Path(state['source']).name or state['source']}",
        "kind": "tune",
        "source": state["source"],
        "command": state["command"],
        "folder": str(job.folder.path),
        "report": str(job.folder.report),
        "task": job.photos.catalog.task,
        "classes": list(job.photos.catalog.classes),
        "photos": len(job.photos.samples),
        "measure": job.measure,
        "more_is_better": job.study.more_is_better,
        "space": job.space.to_record(),
        "trials": {name: sum(row.state == name for row in rows) for name in ("done", "pruned", "failed")},
        "rows": [_trial_record(row) for row in rows],
        "finalists": finals["rows"],
        "best": {
            "name": finals["winner"],
            "factors": dict(factors),
            "mean": best["mean"],
            "interval": best["interval"],
            "repeats": best["repeats"],
            "test": test,
            "sentence": finals["sentence"],
        },
        "importance": job.study.importances(),
        "importance_under": {
            choice: shares
            for choice in dict.fromkeys(one.only for one in job.space.parameters if one.only is not None)
            if (shares := job.study.importances(under=choice))
        },
        "split": job.plan.sentence,
        "environment": environment_record(threads=default_threads()),
    }


def _trial_record(row: TrialRow) -> Record:
    return {
        "number": row.number,
        "factors": dict(row.point),
        "mean": row.value if row.state == "done" else None,
        "interval": None,
        "repeats": 1,
        "seconds": round(float(row.facts.get("seconds", 0.0)), 2),
        "state": row.state,
        "reason": row.reason,
        "size": row.facts.get("size"),
    }


def _best(job: SearchJob, rows: Sequence[TrialRow]) -> TrialRow | None:
    done = [row for row in rows if row.state == "done" and row.value is not None]
    return max(done, key=lambda row: job.sign * float(row.value or 0.0), default=None)
