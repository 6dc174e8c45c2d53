"""The Ray engine keeps the promises of an engine, on this machine with Ray started and stopped by it.

One start of Ray serves the whole file; what a cluster of two nodes does when one is lost stands in
`tests/reliability/test_cluster.py`.
"""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path
from typing import Self

import pytest

import works
from handmade import write_brightness_bundle
from parts import write_parts
from teliti.errors import MissingExtraError, RunError, UserError
from teliti.tuning.engines import Task
from teliti.tuning.machines import Machines
from teliti.tuning.ray_engine import RayEngine, _Done
from teliti.workflow.predict import predict
from teliti.workflow.prepare import prepare


@pytest.fixture(scope="module")
def engine():
    """Two cores and a GPU: Ray counts what it is told."""
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch, RayEngine(workers=2) as engine:
        patch.setattr(engine._ray, "init", partial(engine._ray.init, num_gpus=1))
        engine.connect()
        folder = Path(engine._folder)
        assert dict(os.environ) == before
        yield engine
    assert not folder.exists()


def test_every_task_has_one_outcome_and_what_is_raised_costs_its_task_alone(engine) -> None:
    outcomes = {one.key: one for one in engine.run((Task(str(n), n) for n in (2, 3, 4, 6)), works.refuse_odd)}
    trouble = outcomes["3"].trouble
    assert (trouble.kind, trouble.message, trouble.hint) == ("RecipeError", "3 is odd.", "Take an even one.")
    assert outcomes["4"].trouble.message == "KeyError: 'four'"
    assert (outcomes["2"].value, outcomes["6"].value) == (2, 6)
    assert all(outcome.attempts == 1 for outcome in outcomes.values())


def test_a_task_is_pulled_only_when_a_slot_is_free(engine) -> None:
    pulled, seen = [], []

    def tasks():
        for number in range(6):
            pulled.append((number, len(seen)))
            yield Task(str(number), number)

    for outcome in engine.run(tasks(), works.double):
        seen.append(outcome.key)
    assert all(number - done < engine.slots for number, done in pulled)
    assert sorted(seen) == list("012345")


def test_the_driver_answers_what_the_work_asks(engine) -> None:
    asked = []

    def answer(key: str, question: int) -> bool:
        asked.append((key, question))
        return question == 2

    (outcome,) = engine.run([Task("a", 9)], works.ask_until_told, answer=answer)
    assert outcome.value == 2
    assert asked == [("a", 0), ("a", 1), ("a", 2)]


def test_nobody_but_this_machine_can_knock(engine) -> None:
    """A port that listens to all addresses would be taken on the other loop-back ones, too."""
    host, _, port = engine._ray.get_runtime_context().gcs_address.rpartition(":")
    assert (engine.host, host) == ("127.0.0.1", "127.0.0.1")
    with pytest.raises(OSError, match="in use"):
        socket.create_server((host, int(port)))
    socket.create_server(("127.0.0.2", int(port))).close()


class RayOfAnother:
    """Stands in for a Ray that the calling program has started; every task is done at once."""

    def __init__(self, real) -> None:
        self.cancelled: list[int] = []
        self.exceptions = real.exceptions
        self._sent = 0

    def options(self, **_: int) -> Self:
        return self

    def remote(self, *_: int, **__: str) -> int:
        self._sent += 1
        return self._sent - 1

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict]:
        return [{"Alive": True, "Resources": {"CPU": 2}}]

    def put(self, value):
        return value

    def wait(self, references: list[int]) -> tuple[list[int], list[int]]:
        return references[:1], references[1:]

    def get(self, reference: int) -> _Done:
        return _Done("done", reference, 0.0, 1)

    def cancel(self, reference: int, *, force: bool) -> None:
        assert force
        self.cancelled.append(reference)


def test_what_is_under_way_is_cancelled_but_not_at_a_ray_that_is_closed() -> None:
    """Ctrl-C between two outcomes closes the engine first; Ray would start itself anew only to be told."""
    cancelled = []
    for is_closed in (False, True):
        engine = RayEngine(workers=2)
        engine._ray = ray = RayOfAnother(engine._ray)
        engine._do = ray
        outcomes = engine.run((Task(str(n), n) for n in range(4)), works.double)
        assert next(outcomes).key == "0"
        if is_closed:
            engine.close()
        outcomes.close()
        cancelled.append(ray.cancelled)
    assert cancelled == [[1], []]


def test_workers_are_calm_processes_that_stay(engine) -> None:
    names = ("OMP_NUM_THREADS", "TELITI_THREADS", "OMP_WAIT_POLICY")
    outcomes = {one.key: one.value for one in engine.run([Task(name, name) for name in names], works.environment)}
    assert [outcomes[name][0] for name in names] == ["1", "1", "passive"]
    again = {one.value[1] for one in engine.run([Task(str(n), "HOME") for n in range(4)], works.environment)}
    assert again & {process for _, process in outcomes.values()}
    assert {os.getpriority(os.PRIO_PROCESS, process) for process in again} == {os.getpriority(os.PRIO_PROCESS, 0)}


def test_a_gpu_is_given_to_one_task_at_a_time(engine, tmp_path: Path) -> None:
    own = RayEngine(workers=2, gpus=1)
    assert (engine.slots, own.slots) == (2, 1)
    begun = tmp_path / "begun"
    names = {
        one.value[0] for one in own.run([Task(str(n), "CUDA_VISIBLE_DEVICES") for n in range(3)], works.environment)
    }
    assert names == {"0"}
    for outcome in own.run((Task(str(n), (str(begun), 0.1, n)) for n in range(3)), works.note_and_sleep):
        assert len(begun.read_text().splitlines()) == int(outcome.key) + 1  # none begins before the last one's end


def test_more_gpus_than_any_machine_has_are_refused_instead_of_waited_for(engine) -> None:
    engine.connect()
    with pytest.raises(UserError, match=r"takes 2 GPU and 1 cores, and no machine of the cluster has them\."):
        next(iter(RayEngine(workers=2, gpus=2).run([Task("0", 0)], works.double)))


def test_all_tasks_are_one_function_of_ray(engine) -> None:
    """Another function for each task would be sent to every worker process, and would wait for a worker of its own."""
    from ray.experimental.internal_kv import _internal_kv_list

    def exported() -> set[bytes]:
        return set(_internal_kv_list(b"RemoteFunction:", namespace=b"fun"))

    list(engine.run([Task("0", 0)], works.double))
    before = exported()
    assert before
    list(engine.run((Task(str(n), n) for n in range(5)), works.double))
    assert exported() == before


def test_the_task_of_a_killed_worker_is_done_again_without_a_word(engine, tmp_path: Path, capfd) -> None:
    (outcome,) = engine.run([Task("a", str(tmp_path / "marker"))], works.die_once)
    assert (outcome.value, outcome.attempts) == ("alive", 2)
    assert capfd.readouterr().out == ""  # Ray would tell it on stdout, where --json has its one document


def test_verdicts_are_those_of_this_process(engine, parts_folder: Path, tmp_path: Path) -> None:
    bundle = write_brightness_bundle(tmp_path / "bundle").path
    (tmp_path / "torn.png").write_bytes((parts_folder / "good" / "good-000.png").read_bytes()[:60])
    paths = [parts_folder, tmp_path / "torn.png"]
    assert predict(bundle, paths, machines=engine) == predict(bundle, paths)


def test_prepared_photos_are_those_of_this_process_and_are_not_made_twice(engine, tmp_path: Path) -> None:
    photos = write_parts(tmp_path / "parts", per_class=5)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[[prepare]]\nstep = "clahe"\n')
    here = prepare(photos, tmp_path / "here", recipe=recipe)
    there = prepare(photos, tmp_path / "there", recipe=recipe, engine=engine)
    again = prepare(photos, tmp_path / "there", recipe=recipe, engine=engine)
    assert (there["written"], again["written"], again["kept"]) == (here["written"], 0, here["written"])
    made = sorted(path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*.png"))
    assert len(made) == 10
    assert all((tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes() for name in made)


@pytest.mark.parametrize("address", ["nowhere", "ray://host:10001", "host:", ":6379"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="--address must be HOST:PORT of a Ray cluster's first machine, or auto, got"):
        Machines("ray", address)


def test_a_cluster_that_does_not_answer_is_told_at_once() -> None:
    engine = RayEngine(address="127.0.0.1:1")
    engine._ray = type("Ray", (), {"is_initialized": staticmethod(lambda: False), "_private": engine._ray._private})
    with pytest.raises(UserError, match=r"must be that of a running Ray cluster, got 127\.0\.0\.1:1: .*refused"):
        engine.connect()


def test_a_start_that_fails_is_told_in_a_sentence_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    def init(**_) -> None:
        raise Exception("The current node timed out during startup. Too much to do.\nMore.")

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    engine = RayEngine(workers=1)
    calls = {"is_initialized": staticmethod(lambda: False), "init": staticmethod(init), "shutdown": staticmethod(int)}
    engine._ray = type("Ray", (), {**calls, "_private": engine._ray._private})
    with pytest.raises(RunError, match=r"Ray could not be started on this machine: .* Too much to do\."), engine:
        engine.connect()
    assert list(tmp_path.iterdir()) == []


def test_an_address_needs_the_engine_that_has_one() -> None:
    with pytest.raises(UserError, match="--address must stand with --engine ray, got host:6379 alone"):
        Machines("local", "host:6379")


def test_without_ray_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teliti.runtime.is_installed", lambda library: library != "ray")
    with pytest.raises(MissingExtraError, match=r"ray is needed to compute .* pip install \"teliti\[cluster\]\""):
        Machines("ray")


@pytest.mark.parametrize("name", ["workers", "threads", "attempts"])
def test_numbers_below_one_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} must be at least 1, got 0"):
        RayEngine(**{"workers": 1, name: 0})
