"""The learning-rate finder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from teliti.training.batches import epoch_batches
from teliti.training.loop import fit_network
from teliti.training.losses import make_objective
from teliti.training.rate_finder import HIGHEST, LOWEST, STEPS, _choose, find_rate
from unit.training.tiny_networks import conv_net, options, same_state, striped_photos, training_data


def test_the_rate_lies_a_tenth_below_the_lowest_loss_and_the_network_is_untouched() -> None:
    net, data = conv_net(dropout=0.3), training_data()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    objective = make_objective(options(), task="classification", num_outputs=2)
    search = find_rate(net, data, options(optimizer="sgd"), objective=objective, seed=1)
    lowest = min(search.curve, key=lambda point: point[1])
    assert search.lr == float(f"{lowest[0] / 10:.2g}")
    assert search.curve[0][0] == LOWEST
    assert LOWEST <= search.lr <= HIGHEST
    assert 2 < len(search.curve) <= STEPS
    assert same_state(net.state_dict(), before)
    assert search == find_rate(net, data, options(optimizer="sgd"), objective=objective, seed=1)


def test_only_what_will_learn_is_tried() -> None:
    net, data = conv_net(), training_data()
    objective = make_objective(options(), task="classification", num_outputs=2)
    head = find_rate(net, data, options(frozen_stages=2), objective=objective, seed=1)
    whole = find_rate(net, data, options(), objective=objective, seed=1)
    assert head.curve != whole.curve


def test_a_found_rate_is_written_into_the_options_and_replays_to_the_same_bits() -> None:
    first, second = conv_net(), conv_net()
    found = fit_network(first, training_data(), options(lr="find"), seed=1)
    assert found.options.lr == found.rate_search.lr
    again = fit_network(second, training_data(), found.options, seed=1)
    assert again.rate_search is None
    assert same_state(again.state, found.state)
    assert again.history == found.history


def test_an_exploding_network_still_gives_a_rate() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
    objective = make_objective(options(loss="sum_of_squares"), task="classification", num_outputs=2)
    with torch.no_grad():
        net[1].weight.fill_(float("nan"))
    assert find_rate(net, training_data(), options(), objective=objective, seed=1).lr == LOWEST


def falling(steps: int = STEPS, *, first: float | None = None) -> list[tuple[float, float]]:
    """A curve that stays at 0.7, falls to 0.1 at the rate 0.01 and rises from there; `first` is its first loss."""
    rates = np.geomspace(LOWEST, HIGHEST, STEPS)
    places = np.log10(rates)
    losses = np.interp(places, [-6.0, -4.0, -2.0, -1.0, 0.0], [0.7, 0.7, 0.1, 1.0, 9.0])
    curve = list(zip(rates.tolist(), losses.tolist(), strict=True))[:steps]
    return curve if first is None else [(LOWEST, first), *curve[1:]]


def test_a_first_batch_that_is_answered_perfectly_by_chance_decides_nothing() -> None:
    assert _choose(falling(first=1e-9)).lr == _choose(falling()).lr == pytest.approx(1e-3, rel=0.1)


def test_a_network_that_has_learnt_already_gets_a_tenth_of_the_largest_rate_that_did_no_harm() -> None:
    rates = np.geomspace(LOWEST, HIGHEST, STEPS)
    curve = [(rate, 1e-6 if rate < 0.05 else 1.0) for rate in rates.tolist()]
    assert _choose(curve).lr == pytest.approx(0.005, rel=0.2)


def test_a_search_that_ends_among_the_first_steps_gives_the_lowest_rate() -> None:
    search = _choose(falling(5))
    assert (search.lr, len(search.curve)) == (LOWEST, 5)


def test_the_search_goes_on_behind_a_first_batch_of_hardly_any_loss() -> None:
    """Both classes are told by a bias, so that a batch of one class is answered perfectly and another one not."""
    photos, _ = striped_photos(48)
    labels = np.ones(48, np.int64)
    first = epoch_batches(np.arange(32), batch_size=8, seed=1, epoch=0)[0]
    labels[:32] = 0
    labels[np.asarray(first.indices if hasattr(first, "indices") else first)] = 1
    net = conv_net()
    with torch.no_grad():
        net[6].bias.copy_(torch.tensor([-8.0, 8.0]))
    objective = make_objective(options(), task="classification", num_outputs=2)
    data = training_data(images=photos, targets=labels)
    search = find_rate(net, data, options(optimizer="sgd"), objective=objective, seed=1)
    assert search.curve[0][1] < 1e-3 < search.curve[1][1]
    assert len(search.curve) > STEPS // 2
    assert search.lr > 10 * LOWEST
