"""The learning rate of each step, beside torch's own schedulers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from teliti.training.schedules import rate_factor
from unit.training.tiny_networks import options


def rates_of_torch(make: object, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def rates(steps: int, *, steps_per_epoch: int = 5, **values: object) -> list[float]:
    return [rate_factor(options(**values), step, steps_per_epoch=steps_per_epoch) for step in range(steps)]


def test_cosine_is_torchs() -> None:
    theirs = rates_of_torch(lambda own: torch.optim.lr_scheduler.CosineAnnealingLR(own, 20), 20)
    assert rates(20, schedule="cosine", epochs=4) == pytest.approx(theirs)


def test_one_cycle_is_torchs() -> None:
    def make(own: torch.optim.Optimizer) -> object:
        return torch.optim.lr_scheduler.OneCycleLR(own, max_lr=1.0, total_steps=20, cycle_momentum=False)

    assert rates(20, schedule="one_cycle", epochs=4) == pytest.approx(rates_of_torch(make, 20))


def test_step_is_torchs() -> None:
    theirs = rates_of_torch(lambda own: torch.optim.lr_scheduler.StepLR(own, 10, gamma=0.5), 30)
    assert rates(30, schedule="step", epochs=6, step_epochs=2, step_factor=0.5) == pytest.approx(theirs)


def test_constant_stays() -> None:
    assert rates(15, schedule="constant") == [1.0] * 15


def test_a_warm_up_rises_in_a_line_and_hands_over_at_the_top() -> None:
    found = rates(20, schedule="cosine", epochs=4, warmup_epochs=0.8)
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert found[5:] == sorted(found[5:], reverse=True)


@given(
    st.sampled_from(["constant", "step", "cosine", "one_cycle"]), st.integers(1, 12), st.integers(1, 9),
    st.floats(0, 3), st.integers(0, 200),
)  # fmt: skip
def test_every_rate_is_a_share_of_the_top(name: str, epochs: int, per_epoch: int, warmup: float, step: int) -> None:
    chosen = options(schedule=name, epochs=epochs, warmup_epochs=warmup)
    factor = rate_factor(chosen, step, steps_per_epoch=per_epoch)
    assert 0.0 <= factor <= 1.0
    assert math.isfinite(factor)
