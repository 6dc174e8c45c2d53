"""torch.compile: asked for only where a run is long enough, kept only where it pays, and the same run afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch._dynamo.exc import BackendCompilerFailed
from torch._inductor.runtime.cache_dir_utils import default_cache_dir

from teliti.cache import caching_in
from teliti.errors import RunError
from teliti.recipe.train import TrainRecipe
from teliti.training import compiling, speed
from teliti.training.compiling import Trial, choose_compiled, is_trial_open
from teliti.training.loop import fit_network
from teliti.training.losses import make_objective
from teliti.training.speed import choose_options
from unit.training.tiny_networks import conv_net, options, same_state, training_data

OBJECTIVE = make_objective(options(), task="classification", num_outputs=2)
HOUR = 3600.0


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, without what an earlier test left in the environment."""
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    with caching_in(tmp_path / "cache"):
        yield tmp_path / "cache" / "kernels"
    os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)


def chosen_for(
    trial: Trial | None, *, planned: float = HOUR, kernel_sets: int = 1, **values: object
) -> tuple[TrainRecipe, float, list[TrainRecipe], tuple[dict, ...]]:
    """What is chosen where a photo takes 1 s; and what was tried."""
    tried: list[TrainRecipe] = []

    def try_out(candidate: TrainRecipe) -> Trial:
        tried.append(candidate)
        if trial is None:
            raise RunError("torch.compile cannot write kernels for this network here: no compiler")
        return trial

    found, a_photo, rows = choose_compiled(
        options(compile=False, replicas=2, **values), a_photo=1.0, planned=planned, kernel_sets=kernel_sets,
        try_out=try_out,
    )  # fmt: skip
    return found, a_photo, tried, rows


@pytest.mark.parametrize(("device", "planned", "is_tried"), [
    ("cpu", 1700.0, False), ("cpu", 1900.0, True), ("cuda", 250.0, False), ("cuda", 350.0, True),
])  # fmt: skip
def test_only_a_long_training_is_worth_a_trial(device: str, planned: float, is_tried: bool) -> None:
    _, _, tried, rows = chosen_for(Trial(20.0, 0.5), planned=planned, device=device)
    assert bool(tried) is bool(rows) is is_tried


def test_kernels_are_kept_where_they_save_more_than_they_cost_again() -> None:
    found, a_photo, tried, (row,) = chosen_for(Trial(30.0, 0.98))  # 72 s of an hour
    assert (found.compile, found.replicas, a_photo) == (True, 1, 0.98)
    assert tried == [found]
    assert row == {
        "precision": "f32", "replicas": 1, "compiled": True, "compile_s": 30.0, "photos_per_s": 1.0, "chosen": True,
    }  # fmt: skip
    for trial, sets in ((Trial(30.0, 0.98), 3), (Trial(80.0, 0.98), 1), (Trial(1.0, 1.1), 1)):
        found, a_photo, _, (row,) = chosen_for(trial, kernel_sets=sets)
        assert (found.compile, found.replicas, a_photo, row["chosen"]) == (False, 2, 1.0, False)


def test_a_network_that_cannot_be_compiled_learns_without() -> None:
    found, a_photo, _, (row,) = chosen_for(None)
    assert (found.compile, a_photo) == (False, 1.0)
    assert row == {"precision": "f32", "replicas": 1, "compiled": True, "chosen": False}


def test_a_replay_asks_nothing() -> None:
    assert is_trial_open(options(replicas="auto", compile="auto"))
    assert not is_trial_open(options(replicas=1, compile="auto"))
    assert not is_trial_open(options(replicas="auto", compile=False))


def test_the_probe_of_a_long_run_tries_and_its_answer_is_in_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(compiling._LEAST_PLANNED, "cpu", 0.0)
    sets = []

    def fake(chosen: TrainRecipe, *, kernel_sets: int, **more: object) -> tuple:
        sets.append(kernel_sets)
        return choose_compiled(chosen, kernel_sets=kernel_sets, **{**more, "try_out": lambda _: Trial(0.0, 1e-9)})

    monkeypatch.setattr(speed, "choose_compiled", fake)
    asked = options(replicas="auto", compile="auto", threads=2, batch_size=20)
    choice = choose_options(conv_net(), training_data(), asked, objective=OBJECTIVE, phases=2)
    assert choice.options.compile is True
    assert [row.get("compiled", False) for row in choice.probe if row["chosen"]] == [True]
    monkeypatch.setattr(speed, "choose_compiled", choose_compiled)
    again = choose_options(conv_net(), training_data(), choice.options, objective=OBJECTIVE)
    assert (again.probe, again.options) == ((), choice.options)
    count = len(training_data().train)
    assert sets == [2 * (1 if count % -(-count // 20) == 0 else 2)]


def test_where_it_is_asked_for_what_was_timed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_time_candidates", lambda *_, **__: [2.0, 1.0])
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    asked = options(compile=True, precision="auto", replicas="auto")
    choice = choose_options(conv_net(), training_data(), asked, objective=OBJECTIVE)
    assert [(row["precision"], row["replicas"], row["compiled"]) for row in choice.probe] == [
        ("f32", 1, True), ("bf16", 1, True),
    ]  # fmt: skip
    assert (choice.options.compile, choice.options.replicas) == (True, 1)


def test_compiled_and_not_the_network_learns_the_same(kernels: Path) -> None:
    """Kernels are kept where this user's cache is."""
    data, plain = training_data(), {"optimizer": "sgd", "epochs": 2}
    compiled = fit_network(conv_net(), data, options(compile=True, **plain), seed=1)
    eager = fit_network(conv_net(), data, options(compile=False, **plain), seed=1)
    assert compiled.options.compile is True
    for name, tensor in eager.state.items():
        torch.testing.assert_close(compiled.state[name], tensor, rtol=1e-3, atol=1e-4)
    assert any(kernels.rglob("*.so"))


@pytest.mark.slow
def test_a_compiled_run_goes_on_to_the_same_bits(kernels: Path, tmp_path: Path) -> None:
    data, asked = training_data(50), options(compile=True, epochs=3, precision="bf16")  # batches of 6 and 7 photos

    class KilledError(Exception):
        """A kill."""

    def stop_after_two(row: dict) -> None:
        if row["epoch"] == 1:
            raise KilledError

    whole = fit_network(conv_net(dropout=0.3), data, asked, seed=1)
    with pytest.raises(KilledError):
        fit_network(conv_net(dropout=0.3), data, asked, seed=1, folder=tmp_path / "run", on_epoch=stop_after_two)
    again = fit_network(conv_net(dropout=0.3), data, asked, seed=1, folder=tmp_path / "run")
    assert same_state(again.state, whole.state)
    assert again.history == whole.history
    assert kernels.is_dir()


def test_kernels_lie_in_the_cache_unless_the_user_names_a_folder(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    monkeypatch.setattr(torch, "compile", lambda *_, **__: found.append(os.environ["TORCHINDUCTOR_CACHE_DIR"]))
    compiling.compile_network(conv_net(), torch.device("cpu"))
    with caching_in(tmp_path / "other"):
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", default_cache_dir())  # as torch does when it is asked too early
        compiling.compile_network(conv_net(), torch.device("cpu"))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "own"))
    compiling.compile_network(conv_net(), torch.device("cpu"))
    assert found == [str(kernels), str(tmp_path / "other" / "kernels"), str(tmp_path / "own")]


def test_a_failure_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        def call(_x: torch.Tensor) -> torch.Tensor:
            raise BackendCompilerFailed(call, RuntimeError("No working C++ compiler found"), None)

        return call

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(RunError, match=r"cannot write kernels for this network here: .*No working C\+\+ compiler"):
        fit_network(conv_net(), training_data(), options(compile=True), seed=1)


def test_replicas_beside_it_are_refused() -> None:
    with pytest.raises(ValueError, match="replicas must be 1 beside compile = true, got 2"):
        options(compile=True, replicas=2)
