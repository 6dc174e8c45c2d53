"""One batch on several threads or processes: the same photos, gradients that add up."""

from __future__ import annotations

import os
import socket
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from teliti.training import parallel as parallel_module
from teliti.training.batches import Batch
from teliti.training.loop import fit_network
from teliti.training.losses import make_objective
from teliti.training.parallel import (
    Processes,
    Replicas,
    draws_global_randomness,
    give_own_dropout,
    join_processes,
    take_own_dropout,
)
from teliti.training.steps import Stepper
from unit.training.children import read_outcome, start_breaking_child, start_child
from unit.training.tiny_networks import conv_net, options, same_state, training_data


def plain_net() -> nn.Module:
    """Convolution and dense layers without BatchNorm, whose statistics would depend on the parts."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(16, 2))


def gradients(net: nn.Module, batch: Batch, **values: object) -> dict[str, torch.Tensor]:
    objective = make_objective(options(), task="classification", num_outputs=2)
    chosen = options(**values)
    stepper = Stepper(net, training_data(), objective, options=chosen, seed=1, processes=Processes())
    try:
        stepper.gradients(batch, epoch=0)
    finally:
        stepper.close()
    return {name: parameter.grad.clone() for name, parameter in net.named_parameters()}


def batch_of(count: int) -> Batch:
    indices = np.arange(count)
    return Batch(0, indices, torch.from_numpy(training_data().images[indices]), count)


@pytest.mark.parametrize(
    "values", [{"replicas": 2}, {"replicas": 3}, {"accumulate": 4}, {"replicas": 2, "accumulate": 2}]
)
def test_the_parts_of_a_batch_add_up_to_its_gradient(values: dict) -> None:
    whole = gradients(plain_net(), batch_of(10), l1=0.01, l2=0.01)
    parts = gradients(plain_net(), batch_of(10), l1=0.01, l2=0.01, **values)
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-5, atol=1e-6)


def test_a_batch_smaller_than_the_replicas_is_computed_whole() -> None:
    whole, parts = gradients(plain_net(), batch_of(2)), gradients(plain_net(), batch_of(2), replicas=4)
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, rtol=1e-5, atol=1e-6)


def test_replicas_share_weights_and_not_gradients() -> None:
    net = plain_net()
    replicas = Replicas(net, 2)
    copy = replicas.nets[1]
    with torch.no_grad():
        net[0].weight.add_(1.0)
    assert torch.equal(copy[0].weight, net[0].weight)
    copy[0].weight.grad = torch.ones_like(copy[0].weight)
    assert net[0].weight.grad is None
    replicas.collect_gradients()
    assert net[0].weight.grad.sum() == net[0].weight.numel()
    replicas.forget_gradients()
    assert copy[0].weight.grad is None
    replicas.close()


@pytest.mark.parametrize("replicas", [2, 3])
def test_replicas_give_the_same_bits_every_time(replicas: int) -> None:
    def train() -> object:
        net = conv_net(dropout=0.3)
        return fit_network(net, training_data(), options(replicas=replicas, epochs=4), seed=1)

    first, second = train(), train()
    assert same_state(first.state, second.state)
    assert first.history == second.history
    assert first.history[-1]["train_loss"] < first.history[0]["train_loss"]


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout2d])
def test_own_dropout_drops_its_share_scales_the_rest_and_repeats(kind: type[nn.Module]) -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1), kind(0.25)).train()
    generator = give_own_dropout(net)
    x = torch.ones(40, 50, 4, 4)
    generator.manual_seed(3)
    first = net[1](x)
    generator.manual_seed(3)
    assert torch.equal(net[1](x), first)
    assert first.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert float((first == 0).float().mean()) == pytest.approx(0.25, abs=0.03)
    whole = (first.flatten(2).std(dim=2) == 0).all().item()
    assert whole is (kind is nn.Dropout2d)
    assert torch.equal(net.eval()[1](x), x)
    take_own_dropout(net)
    assert "forward" not in net[1].__dict__


def test_the_gradient_of_own_dropout_against_finite_differences() -> None:
    net = nn.Sequential(nn.Dropout(0.4)).train()
    generator = give_own_dropout(net)

    def drop(x: torch.Tensor) -> torch.Tensor:
        generator.manual_seed(5)  # the same values are dropped at each call
        return net(x)

    assert torch.autograd.gradcheck(drop, (torch.randn(3, 4, dtype=torch.float64, requires_grad=True),))


def test_dropout_of_everything_leaves_nothing() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(1.0)).train()
    give_own_dropout(net)
    assert net[1](torch.ones(3, 2)).sum() == 0


def test_randomness_that_is_not_dropout_is_noticed() -> None:
    x = torch.zeros(2, 3, 8, 8)
    assert not draws_global_randomness(conv_net(dropout=0.5), x)
    assert draws_global_randomness(nn.Sequential(nn.Flatten(), nn.Linear(192, 2), nn.RReLU()), x)


def test_alone_there_is_nothing_to_sum_or_to_send() -> None:
    alone, device = Processes(), torch.device("cpu")
    tensor = torch.ones(3)
    alone.sum_tensors([tensor])
    alone.copy_from_first([tensor])
    alone.wait()
    assert tensor.tolist() == [1.0, 1.0, 1.0]
    assert alone.sum_numbers([1.5, 2.0], device) == [1.5, 2.0]
    for text in ("ä", "of no encoding: \udcff.png"):
        assert alone.text_from_first(text, device) == text
        assert alone.texts(text, device) == [text]


def free_port() -> int:
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return int(own.getsockname()[1])


def two_processes(rank: int, port: str) -> dict[str, str]:
    return {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def test_a_photo_without_a_finite_loss_is_named_by_every_process_whoever_has_it(tmp_path: Path) -> None:
    port = str(free_port())
    children = [start_breaking_child(tmp_path / str(rank), environment=two_processes(rank, port)) for rank in (0, 1)]
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    said = "The loss is not finite at epoch 1, batch 1 of 1 (step 1): photo-7.png."
    assert [(tmp_path / str(rank)).read_text("utf-8") for rank in (0, 1)] == [said, said]


def test_processes_on_gpus_take_one_each_and_speak_nccl(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[object] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "set_device", said.append)
    monkeypatch.setattr(parallel_module, "_meet", said.append)
    monkeypatch.setattr(parallel_module.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(parallel_module.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(parallel_module.dist, "destroy_process_group", lambda: said.append("left"))
    with join_processes(torch.device("cuda")) as processes:
        assert (processes.rank, processes.world) == (1, 2)
    assert said == [1, "nccl", "left"]


def test_two_processes_see_the_same_photos_and_end_with_the_weights_of_one(tmp_path: Path) -> None:
    """gloo on this machine; sums in another order differ in the last digits of float32.

    S16: they listen on the loop-back address alone, by the socket table.
    """
    port = str(free_port())
    children: list[BaseProcess] = []
    for rank in (0, 1):
        out, environment = tmp_path / f"rank-{rank}", two_processes(rank, port)
        children.append(start_child(out, checkpoints=tmp_path / "checkpoints", net="plain", environment=environment))
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    first, second = read_outcome(tmp_path / "rank-0"), read_outcome(tmp_path / "rank-1")
    assert first.digest == second.digest
    assert first.history == second.history
    assert first.listening == second.listening == ["127.0.0.1"]

    alone = start_child(tmp_path / "alone", checkpoints=None, net="plain")
    alone.join(60)
    one = read_outcome(tmp_path / "alone")
    assert sorted(name for seen in (first.seen, second.seen) for name in seen) == sorted(one.seen)
    assert [[*a, *b] for a, b in zip(first.steps, second.steps, strict=True)] == one.steps
    np.testing.assert_allclose(first.weights, one.weights, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        [row["val_loss"] for row in first.history], [row["val_loss"] for row in one.history], rtol=1e-4
    )
    assert os.environ.get("WORLD_SIZE") is None
