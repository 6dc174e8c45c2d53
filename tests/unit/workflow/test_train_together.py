"""Training on several workers: what is refused before anything starts, and what the loss of a worker means."""

from __future__ import annotations

from pathlib import Path

import pytest

from teliti.errors import CatalogError, RunError, UserError
from teliti.recipe import parse_recipe
from teliti.tuning.engines import Outcome
from teliti.tuning.machines import Machines
from teliti.tuning.ray_engine import RayEngine
from teliti.tuning.worker import Trouble
from teliti.workflow.train_together import MOST_LOSSES, resume_together, train_together

SCRATCH = parse_recipe({"train": {"mode": "scratch"}})


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch):
    """Workers that end as a list of outcomes says; gives the list and what each round was asked."""
    outcomes, asked = [], []

    def end(_engine, tasks, _work, **_):
        asked.append([task.argument for task in tasks])
        yield outcomes.pop(0)

    monkeypatch.setattr(RayEngine, "run_together", end)
    monkeypatch.setattr(RayEngine, "host", "127.0.0.1")
    return outcomes, asked


def ended(value=None, **trouble) -> Outcome:
    return Outcome("0", value, Trouble(**trouble) if trouble else None, 1.0, 1)


def test_a_lost_worker_means_going_on_where_the_run_was(workers, tmp_path: Path) -> None:
    outcomes, asked = workers
    run = tmp_path / "run"

    def begin():
        run.mkdir()
        (run / "run.json").write_text('{"source": "photos", "photos": "", "command": "", "state": "started"}')
        (run / "recipe.toml").write_text('seed = 5\n[train]\nmode = "scratch"\n')
        return ended(kind="WorkerDied", message="killed")

    outcomes += [ended(kind="RuntimeError", message="Connection closed by peer"), None, ended({"bundle": "b"})]
    outcomes[1] = ended(kind="DistNetworkError", message="refused")
    assert train_together("photos", machines=Machines("ray"), workers=2, recipe=SCRATCH, out=run) == {"bundle": "b"}
    assert [[share.kind for share in shares] for shares in asked] == [["train", "train"]] * 3
    begin()
    outcomes += [ended(kind="WorkerDied", message="killed"), ended({"bundle": "c"})]
    assert resume_together(run, machines=Machines("ray"), workers=2) == {"bundle": "c"}
    shares = asked[-1]
    assert [(share.kind, share.recipe.seed, share.run) for share in shares] == [("resume", 5, str(run))] * 2
    assert [share.environment["RANK"] for share in shares] == ["0", "1"]
    assert {share.environment["WORLD_SIZE"] for share in shares} == {"2"}


def test_what_a_worker_refuses_is_raised_here_and_a_bug_is_no_loss(workers, tmp_path: Path) -> None:
    outcomes, _ = workers
    outcomes += [ended(kind="CatalogError", message="No photos.", hint="Check the path."),
                 ended(kind="KeyError", message="KeyError: 'x'")]  # fmt: skip
    with pytest.raises(CatalogError, match=r"No photos\. Check the path\."):
        train_together("photos", machines=Machines("ray"), workers=2, recipe=SCRATCH, out=tmp_path / "run")
    with pytest.raises(RunError, match="KeyError: 'x'"):
        train_together("photos", machines=Machines("ray"), workers=2, recipe=SCRATCH, out=tmp_path / "run")


def test_it_does_not_go_on_for_ever(workers, tmp_path: Path) -> None:
    outcomes, _ = workers
    outcomes += [ended(kind="WorkerDied", message="killed")] * MOST_LOSSES
    with pytest.raises(RunError, match=f"Workers were lost {MOST_LOSSES} times"):
        train_together("photos", machines=Machines("ray"), workers=2, recipe=SCRATCH, out=tmp_path / "run")


def test_a_mode_without_a_network_and_an_engine_without_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--engine ray must train a network itself, got train.mode = features"):
        train_together("photos", machines=Machines("ray"), workers=2,
                       recipe=parse_recipe({"train": {"mode": "features"}}), out=tmp_path / "run")  # fmt: skip
    with pytest.raises(UserError, match="--workers must stand with --engine ray, got local"):
        train_together("photos", machines=Machines(), workers=2, recipe=SCRATCH, out=tmp_path / "run")


def test_workers_on_several_machines_need_a_network_that_is_theirs(workers, tmp_path: Path, monkeypatch) -> None:
    """S16: torch's process group has no token, so nothing is started at an outside address unless the user says so."""
    outcomes, asked = workers
    monkeypatch.delenv("TELITI_TRUSTED_NETWORK", raising=False)
    monkeypatch.setattr(RayEngine, "host", "192.0.2.1")
    with pytest.raises(UserError, match=r"must meet at a loop-back address, got 192\.0\.2\.1"):
        train_together("photos", machines=Machines("ray"), workers=2, recipe=SCRATCH, out=tmp_path / "run")
    assert asked == []
    monkeypatch.setenv("TELITI_TRUSTED_NETWORK", "1")
    outcomes.append(ended({"bundle": "b"}))
    train_together("photos", machines=Machines("ray"), workers=2, recipe=SCRATCH, out=tmp_path / "run")
    assert asked[0][1].environment["TELITI_TRUSTED_NETWORK"] == "1"
