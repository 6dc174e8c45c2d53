"""A search as Optuna keeps it: trials asked for and told by the driver alone, each counted exactly once.

The journal (a file, or any database by its SQLAlchemy address) is the record: a trial is in it before it is begun, and
its number is its name. After a kill the unfinished trials of the same owner are begun again with the same choices, and
a second answer for a number is dropped. Two owners may share one database: a number from the wanted count on is given
back at once, so both together do no more trials than were asked for.

Source of the sampler: J. Bergstra et al., "Algorithms for Hyper-Parameter Optimization" (2011), as Optuna implements
it. Its random numbers are drawn from the seed and the number of trials so far, so a resumed search goes on as an
uninterrupted one does; with several workers the order in which they end has a say.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from teliti.errors import RunError, UserError
from teliti.runtime import require
from teliti.tuning.space import Parameter, Point, Space

if TYPE_CHECKING:
    import optuna

State = Literal["done", "pruned", "failed"]
_OWNER, _REASON, _FACTS, _SPACE = "owner", "reason", "facts", "space"
_SURPLUS = "beyond the wanted number of trials"
_RANDOM_TRIALS = 10
_PRUNER_TRIALS, _PRUNER_STEPS = 4, 2  # that are never cut short, and steps of every trial
_FEWEST_FOR_IMPORTANCE = 4
_PAUSES_S = (0.2, 0.5, 1.0)
_SEED_STRIDE = 1_000_003


@dataclass(frozen=True)
class TrialRow:
    """One finished trial.

    Attributes:
        number: From 0.
        point: What was chosen.
        state: "done", "pruned" (cut short, with the value it had) or "failed".
        value: The measure; None for a failed one.
        reason: Why it failed; empty otherwise.
        facts: What the trial said beside its value.
    """

    number: int
    point: Point
    state: State
    value: float | None
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class Study:
    """The trials of one search.

    Args:
        space: What is chosen from.
        storage: A journal file, or the SQLAlchemy address of a database.
        name: Of the study in its storage.
        owner: Whose unfinished trials are begun again.
        seed: Of the sampler.
        more_is_better: Of the value.

    Raises:
        MissingExtraError: Optuna is not installed.
        UserError: a storage that cannot be opened, or one whose study has another space.
    """

    def __init__(
        self, space: Space, *, storage: Path | str, name: str, owner: str, seed: int, more_is_better: bool
    ) -> None:
        self._optuna = optuna = require("optuna", extra="train", purpose="search")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.more_is_better = space, more_is_better
        self._owner, self._seed = owner, seed
        with _quiet():
            self._study = _open(optuna, storage, name=name, more_is_better=more_is_better)
            self._study.pruner = optuna.pruners.MedianPruner(_PRUNER_TRIALS, _PRUNER_STEPS)
        kept = self._study.user_attrs.get(_SPACE)
        if kept is None:
            self._study.set_user_attr(_SPACE, space.to_record())
        elif kept != space.to_record():
            raise UserError(
                f'The study "{name}" in its storage must have the space that is asked for, and has another one.',
                hint="Give the same --space, or another --out.",
            )

    def ask(self, *, trials: int, goes_on: Callable[[], bool] = lambda: True) -> Iterator[tuple[int, Point]]:
        """Unfinished trials of this owner first, then new ones.

        Args:
            trials: How many numbers there shall be.
            goes_on: Asked before each new trial; False ends the search.

        Yields:
            Number and choices; between two of them the caller may tell what others gave.
        """
        for number, trial_id in self._unfinished():
            yield number, self._choose(trial_id)
        while goes_on() and len(self._study.get_trials(deepcopy=False)) < trials:
            trial_id, number = self._begin()
            if number >= trials:  # another owner was faster
                self._tell(number, state="FAIL", attributes={_REASON: _SURPLUS})
                return
            yield number, self._choose(trial_id)

    def report(self, number: int, step: int, value: float) -> bool:
        """Keep how good a trial is on the way; True: it shall stop, half of the others were better by then."""
        with _quiet(), suppress(self._optuna.exceptions.UpdateFinishedTrialError):
            trial = self._optuna.trial.Trial(self._study, self._id_of(number))
            trial.report(value, step)
            return bool(trial.should_prune())
        return False

    def finish(self, number: int, value: float, facts: Mapping[str, Any] | None = None) -> None:
        """A trial has its value."""
        self._tell(number, value, state="COMPLETE", attributes={_FACTS: dict(facts or {})})

    def prune(self, number: int, facts: Mapping[str, Any] | None = None) -> None:
        """A trial was stopped; its last report is its value."""
        self._tell(number, state="PRUNED", attributes={_FACTS: dict(facts or {})})

    def fail(self, number: int, reason: str) -> None:
        """A trial could not be done."""
        self._tell(number, state="FAIL", attributes={_REASON: reason})

    def rows(self) -> list[TrialRow]:
        """Every trial that has come to an end, by number."""
        states: dict[Any, State] = {
            self._optuna.trial.TrialState.COMPLETE: "done",
            self._optuna.trial.TrialState.PRUNED: "pruned",
            self._optuna.trial.TrialState.FAIL: "failed",
        }
        return [
            TrialRow(
                trial.number, dict(trial.params), states[trial.state], trial.value,
                str(trial.user_attrs.get(_REASON, "")), dict(trial.user_attrs.get(_FACTS, {})),
            )
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state in states and trial.user_attrs.get(_REASON) != _SURPLUS
        ]  # fmt: skip

    def close(self) -> None:
        """Let go of the connections to a database."""
        kept = self._study._storage
        engine = getattr(getattr(kept, "_backend", kept), "engine", None)
        if engine is not None:
            engine.dispose()

    def importances(self, *, under: str | None = None) -> dict[str, float]:
        """Share of the value's variation that each parameter explains (fANOVA), the largest first.

        Parameters that stand under a condition have no value in the other trials, so that they are asked for by it.
        Empty where there are too few trials, or where they do not differ.

        Args:
            under: Among the trials that made this choice, with the parameters under it; None: among all trials, of the
                parameters under no condition.
        """
        asked = [one.name for one in self.space.parameters if one.only in {None, under}]
        waiting = [one.name for one in self.space.parameters if under is not None and one.only == under]
        done = [row for row in self.rows() if row.state == "done" and set(waiting) <= set(row.point)]
        if len(done) < _FEWEST_FOR_IMPORTANCE or len({row.value for row in done}) < 2:
            return {}
        varied = [name for name in asked if len({row.point.get(name) for row in done}) > 1]
        if not varied or (under is not None and not set(waiting) & set(varied)):
            return {}
        with _quiet():
            evaluator = self._optuna.importance.FanovaImportanceEvaluator(seed=self._seed)
            found = self._optuna.importance.get_param_importances(self._study, evaluator=evaluator, params=varied)
        return {name: float(share) for name, share in found.items()}

    def _sampler(self) -> Any:
        seed = (self._seed + _SEED_STRIDE * len(self._study.get_trials(deepcopy=False))) % 2**32
        return self._optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM_TRIALS, constant_liar=True)

    def _choose(self, trial_id: int) -> Point:
        """The choices of a trial; those that it has already are found, the others are made."""
        with _quiet():
            self._study.sampler = self._sampler()
            trial = self._optuna.trial.Trial(self._study, trial_id)
            for parameter in self.space.parameters:
                if self.space.applies(parameter, trial.params):
                    _suggest(trial, parameter)
        return dict(trial.params)

    def _begin(self) -> tuple[int, int]:
        """A new trial that has its owner from the first moment, so that no other owner takes it for an orphan."""
        with _quiet():
            begun = self._optuna.trial.create_trial(
                state=self._optuna.trial.TrialState.RUNNING, user_attrs={_OWNER: self._owner}
            )
            storage = self._study._storage
            trial_id = storage.create_new_trial(self._study._study_id, template_trial=begun)
            return int(trial_id), int(storage.get_trial_number_from_id(trial_id))

    def _unfinished(self) -> list[tuple[int, int]]:
        running = self._optuna.trial.TrialState.RUNNING
        trials = self._study.get_trials(deepcopy=False, states=(running,))
        return [(trial.number, trial._trial_id) for trial in trials if trial.user_attrs.get(_OWNER) == self._owner]

    def _id_of(self, number: int) -> int:
        return int(next(trial._trial_id for trial in self._study.get_trials(deepcopy=False) if trial.number == number))

    def _tell(self, number: int, value: float | None = None, *, state: str, attributes: Mapping[str, Any]) -> None:
        with _quiet():
            with suppress(self._optuna.exceptions.UpdateFinishedTrialError):
                trial = self._optuna.trial.Trial(self._study, self._id_of(number))
                for name, attribute in attributes.items():
                    trial.set_user_attr(name, attribute)
            kind = self._optuna.trial.TrialState[state]
            self._study.tell(number, value, state=kind, skip_if_finished=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's notes on what is experimental; its versions are pinned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _suggest(trial: optuna.trial.Trial, parameter: Parameter) -> None:
    if parameter.choices:
        trial.suggest_categorical(parameter.name, parameter.choices)
    elif parameter.is_whole:
        step = int(parameter.step or 1)
        trial.suggest_int(parameter.name, int(parameter.low), int(parameter.high), step=step, log=parameter.is_log)
    else:
        low, high = parameter.low, parameter.high
        trial.suggest_float(parameter.name, low, high, step=parameter.step, log=parameter.is_log)


def _open(optuna: Any, storage: Path | str, *, name: str, more_is_better: bool) -> Any:
    direction = "maximize" if more_is_better else "minimize"
    try:
        if isinstance(storage, Path):
            kept = optuna.storages.JournalStorage(_journal_backend(storage))
        else:
            kept = _open_database(optuna, storage)
        return optuna.create_study(storage=kept, study_name=name, direction=direction, load_if_exists=True)
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(storage, Path):
            raise RunError(
                f'The journal "{storage}" could not be read: {said}.', hint="Start again with another --out."
            ) from error
        raise UserError(
            f"--storage must be the address of a database that can be reached, got {storage.partition('://')[0]}"
            f"://...: {said}.",
            hint="For instance postgresql+psycopg://user@host/name or sqlite:///trials.db.",
        ) from error


def _open_database(optuna: Any, address: str) -> Any:
    """The tables of a database; of several that make them at once all but one fail, and find them there.

    They are made over connections that nobody keeps: those of a pool stayed open behind a failure.
    """
    import sqlalchemy

    for pause_s in _PAUSES_S:
        try:
            optuna.storages.RDBStorage(address, engine_kwargs={"poolclass": sqlalchemy.pool.NullPool})
            break
        except sqlalchemy.exc.DBAPIError:
            time.sleep(pause_s)
    return optuna.storages.RDBStorage(address)


def _journal_backend(path: Path) -> Any:
    """The journal of a folder that this process holds: what a killed one left half written is cut off."""
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    Path(f"{path}.lock").unlink(missing_ok=True)
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with path.open("r+b") as file:
                file.truncate(whole)
    return JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path)))
