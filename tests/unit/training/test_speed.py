"""What is decided before the first step, and that a replay of the decisions asks nobody."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from torch import nn

from teliti.errors import RecipeError
from teliti.training import speed as speed_module
from teliti.training.batches import Batch
from teliti.training.loop import fit_network
from teliti.training.losses import make_objective
from teliti.training.speed import (
    PROBE_SECONDS,
    bytes_per_photo,
    choose_options,
    free_memory,
    quiet_torch,
    with_values,
)
from teliti.types import SilentReporter
from unit.training.tiny_networks import conv_net, options, same_state, training_data

OBJECTIVE = make_objective(options(), task="classification", num_outputs=2)
NO_BF16 = "This processor has no instructions for bf16 and is many times slower with it: set train.precision=f32."


class DrawsItsOwn(nn.Module):
    """Noise from torch's global generator, as drop path has it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(1) + torch.rand(1))


class Notebook(SilentReporter):
    """Keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(autouse=True)
def _processor_with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are of a trial between two precisions, wherever they run."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})


@pytest.mark.parametrize(
    ("instructions", "timed", "settled"),
    [
        ({"avx2": True, "avx512_bf16": False}, {"f32"}, "f32"),
        ({"avx512_bw": True}, {"f32", "bf16"}, "f32"),
        ({"avx2": True, "avx_ne_convert": True}, {"f32", "bf16"}, "f32"),
        ({"neon": True, "bf16": True}, {"f32", "bf16"}, "f32"),
        ({"avx512_bw": True, "amx_bf16": True}, {"f32", "bf16"}, "bf16"),
        ({}, {"f32"}, "f32"),
    ],
)
def test_bf16_is_not_timed_where_the_processor_has_nothing_for_it(
    monkeypatch: pytest.MonkeyPatch, instructions: dict, timed: set, settled: str
) -> None:
    """Imitated, a step of EfficientNet-Lite0 took 18 times as long, and its probe 76 s instead of 11."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    assert speed_module.processor_precision() == settled
    asked = options(precision="auto", replicas="auto", threads=2)
    choice = choose_options(conv_net(), training_data(), asked, objective=OBJECTIVE)
    assert {row["precision"] for row in choice.probe} == timed
    assert {row["replicas"] for row in choice.probe} == {1, 2}
    on_gpu = speed_module._precisions_to_time(with_values(asked, device="cuda"))
    assert on_gpu == ["f32", "bf16"]
    assert speed_module._precisions_to_time(with_values(asked, precision="bf16")) == ["bf16"]


@pytest.mark.parametrize(
    ("precision", "instructions", "is_said"),
    [("bf16", {"avx2": True}, True), ("bf16", {"avx512_bf16": True}, False), ("f32", {"avx2": True}, False)],
)
def test_bf16_that_was_asked_for_and_is_imitated_is_said(
    monkeypatch: pytest.MonkeyPatch, precision: str, instructions: dict, *, is_said: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    notebook = Notebook()
    fit_network(conv_net(), training_data(), options(precision=precision, epochs=1), seed=1, reporter=notebook)
    assert (NO_BF16 in notebook.notes) == is_said


def test_auto_times_every_candidate_and_takes_the_fastest() -> None:
    asked = options(precision="auto", replicas="auto", threads=2)
    choice = choose_options(conv_net(), training_data(), asked, objective=OBJECTIVE)
    assert {(row["precision"], row["replicas"]) for row in choice.probe} == {
        ("f32", 1), ("f32", 2), ("bf16", 1), ("bf16", 2),
    }  # fmt: skip
    (chosen,) = [row for row in choice.probe if row["chosen"]]
    assert chosen["photos_per_s"] >= max(row["photos_per_s"] for row in choice.probe) / 1.1 - 0.1
    assert (choice.options.precision, choice.options.replicas) == (chosen["precision"], chosen["replicas"])


def test_nothing_open_means_no_probe() -> None:
    choice = choose_options(conv_net(), training_data(), options(replicas=2), objective=OBJECTIVE)
    assert choice.probe == ()
    assert choice.options == options(replicas=2)


def test_the_probe_of_a_slow_network_stays_near_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10_000_000, 3))  # every look at the clock is a tenth of the bound later
    monkeypatch.setattr(speed_module.time, "perf_counter", lambda: next(clock) * PROBE_SECONDS / 10)
    steps = []
    real = speed_module._time_step
    monkeypatch.setattr(speed_module, "_time_step", lambda *place: steps.append(1) or real(*place))
    choose_options(conv_net(), training_data(), options(precision="auto"), objective=OBJECTIVE)
    assert len(steps) == 2 + 2 * 2  # a first trial, cold and warm, then a warm-up and one round of two candidates


def test_a_long_training_is_worth_a_longer_probe_with_more_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A photo takes 50 ms, the first batch of a size half a second more: a second would show 2 photos of the 24."""
    sizes, timed = set[int](), []

    def step(_stepper: object, _options: object, batch: Batch) -> float:
        cold = 0.5 if batch.total not in sizes else 0.0
        sizes.add(batch.total)
        timed.append(batch.total)
        return cold + 0.05 * batch.total

    monkeypatch.setattr(speed_module, "_time_step", step)
    for epochs, photos in ((3, 2), (10_000, 24)):
        sizes.clear()
        asked = options(precision="auto", batch_size=24, epochs=epochs)
        choose_options(conv_net(), training_data(), asked, objective=OBJECTIVE)
        assert timed[-1] == photos
    timed.clear()
    sizes.clear()
    choose_options(conv_net(), training_data(), with_values(asked, budget=50.0), objective=OBJECTIVE)
    assert timed[-1] == 2  # the budget ends the long training early


def test_quick_steps_are_timed_with_a_whole_batch_and_the_best_of_many_rounds_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timed = []
    real = speed_module._time_step
    monkeypatch.setattr(speed_module, "_time_step", lambda *place: timed.append(place[2].total) or real(*place))
    choose_options(conv_net(), training_data(), options(precision="auto", batch_size=24), objective=OBJECTIVE)
    assert timed[0] == 2
    assert set(timed[-4:]) == {24}
    assert len(timed) >= 2 * (1 + 3)


def test_replicas_are_taken_where_they_are_nearly_as_fast() -> None:
    """They lose half their speed to a program that takes a core, one team of threads nearly all."""
    team, replicas = options(replicas=1, threads=2), options(replicas=2, threads=2)
    assert speed_module._fastest([team, replicas], [1.0, 1.05]) == 1
    assert speed_module._fastest([team, replicas], [1.0, 1.2]) == 0
    assert speed_module._fastest([replicas, replicas], [1.0, 0.9]) == 1


def test_the_network_and_torch_are_left_as_they_were() -> None:
    net = conv_net(dropout=0.5).train()
    before, state = {k: v.clone() for k, v in net.state_dict().items()}, torch.get_rng_state()
    threads = torch.get_num_threads()
    choose_options(net, training_data(), options(precision="auto", replicas="auto", threads=2), objective=OBJECTIVE)
    assert same_state(net.state_dict(), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert "forward" not in net[5].__dict__


def test_what_was_chosen_is_in_the_options_and_a_replay_has_the_same_bits() -> None:
    first, second, notebook = conv_net(dropout=0.2), conv_net(dropout=0.2), Notebook()
    asked = options(precision="auto", replicas="auto", threads=2)
    found = fit_network(first, training_data(), asked, seed=1, reporter=notebook)
    assert found.options.precision in {"f32", "bf16"}
    assert found.options.replicas in {1, 2}
    assert f"Training on cpu in {found.options.precision}" in notebook.notes[0]
    again = fit_network(second, training_data(), found.options, seed=1)
    assert again.probe == ()
    assert same_state(again.state, found.state)
    assert again.history == found.history


def test_threads_are_the_machines_when_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELITI_THREADS", "3")
    asked = options(threads=None)
    assert choose_options(conv_net(), training_data(), asked, objective=OBJECTIVE).options.threads == 3


def test_processes_on_one_machine_share_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELITI_THREADS", "6")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    asked = options(threads=None)
    assert choose_options(conv_net(), training_data(), asked, objective=OBJECTIVE).options.threads == 3
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert choose_options(conv_net(), training_data(), asked, objective=OBJECTIVE).options.threads == 1


def test_a_network_with_randomness_of_its_own_gets_no_replicas() -> None:
    free = choose_options(DrawsItsOwn(), training_data(), options(replicas="auto", threads=2), objective=OBJECTIVE)
    assert free.options.replicas == 1
    with pytest.raises(RecipeError, match=r"train\.replicas must be 1 for a network that draws random numbers"):
        choose_options(DrawsItsOwn(), training_data(), options(replicas=2), objective=OBJECTIVE)


def test_dropout_is_no_obstacle_to_replicas() -> None:
    chosen = choose_options(conv_net(dropout=0.5), training_data(), options(replicas=2), objective=OBJECTIVE)
    assert chosen.options.replicas == 2


def test_few_photos_a_batch_get_no_replicas() -> None:
    asked = options(replicas="auto", threads=4, batch_size=8)
    assert choose_options(conv_net(), training_data(), asked, objective=OBJECTIVE).options.replicas == 1


def test_the_memory_of_a_step_is_that_of_its_kept_activations() -> None:
    """One dense layer keeps its input: 192 floats a photo; a ReLU its output of 10."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.ReLU())
    x = torch.randn(4, 3, 8, 8, requires_grad=False)
    assert bytes_per_photo(net, x) == 4 * (192 + 10)


def test_the_memory_is_that_of_the_layers_that_train() -> None:
    """torch's ReLU6 in place keeps a copy of its input too; ours keeps its output alone, as the ReLU above."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 10), nn.ReLU6(inplace=True))
    assert bytes_per_photo(net, torch.randn(4, 3, 8, 8)) == 4 * (192 + 10)
    assert "forward" not in vars(net[2])


def test_a_batch_that_does_not_fit_is_cut_into_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    net, data = conv_net(), training_data()
    need = bytes_per_photo(net, torch.zeros(2, 3, 8, 8)) * speed_module._BACKWARD
    monkeypatch.setattr(speed_module, "free_memory", lambda _device: 3.2 * need / speed_module._MEMORY_SHARE)
    chosen = choose_options(net, data, options(batch_size=8), objective=OBJECTIVE).options
    assert (chosen.batch_size, chosen.accumulate) == (8, 3)
    monkeypatch.undo()
    assert choose_options(net, data, options(batch_size=8), objective=OBJECTIVE).options.accumulate == 1


def test_free_memory_is_a_plausible_number() -> None:
    assert 2**24 < free_memory("cpu") < 2**50


@pytest.mark.parametrize(("limit", "free"), [("3000000", 2_500_000), ("max", None), ("1000000", 500_000)])
def test_a_control_groups_limit_counts_without_files_that_were_read(
    limit: str, free: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("900000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_anon 7\ninactive_file 400000\nactive_file 0\n")
    monkeypatch.setattr(speed_module, "_CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(speed_module, "_machine_memory", lambda: 10**12)
    assert free_memory("cpu") == (10**12 if free is None else free)


def test_a_control_groups_limit_holds_where_nobody_tells_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("900000\n")
    monkeypatch.setattr(speed_module, "_CONTROL_GROUP", tmp_path)
    monkeypatch.setattr(speed_module, "_machine_memory", lambda: 10**12)
    assert free_memory("cpu") == 2_100_000


def test_a_budget_cuts_the_epochs_and_the_replay_needs_no_clock() -> None:
    started = time.perf_counter()
    found = fit_network(conv_net(), training_data(), options(epochs=100_000, budget=1.5), seed=1)
    assert time.perf_counter() - started < 6.0
    assert 1 <= len(found.history) < 100_000
    assert found.options.epochs < 100_000
    assert found.ended in {"epochs", "budget"}
    replay = with_values(found.options, budget=None)
    again = fit_network(conv_net(), training_data(), replay, seed=1)
    assert again.history == found.history
    assert same_state(again.state, found.state)


def test_a_budget_that_runs_out_ends_after_whole_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_module, "_within_budget", lambda options, *_: options)
    found = fit_network(conv_net(), training_data(), options(epochs=100_000, budget=0.3), seed=1)
    assert found.ended == "budget"
    assert found.options.stop_after == len(found.history)


def test_replicas_are_for_processors() -> None:
    with pytest.raises(RecipeError, match=r"train\.replicas must be 1 on a GPU, got 2"):
        speed_module._possible_replicas(conv_net(), training_data(), options(device="cuda", replicas=2), threads=2)
    assert speed_module._possible_replicas(conv_net(), training_data(), options(device="cuda"), threads=2) == [1]


def test_torch_has_the_runs_threads_inside_and_its_own_after() -> None:
    before = torch.get_num_threads()
    with quiet_torch(options(threads=2, replicas=1)):
        assert torch.get_num_threads() == 2
    with quiet_torch(options(threads=2, replicas=2)):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
