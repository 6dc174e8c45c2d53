"""The page of a search: its course, what mattered, all choices at once, choice by choice."""

from __future__ import annotations

import re

from teliti.report.search_page import render_search


def trial(number: int, mean: float | None, **factors) -> dict:
    return {"number": number, "factors": factors, "mean": mean, "seconds": 1.0, "state": "done" if mean else "pruned"}


RECORD = {
    "title": "Search on parts", "version": "1", "measure": "mae", "more_is_better": False, "photos": 40,
    "task": "regression", "split": "Our split.", "command": "teliti tune parts", "environment": {},
    "space": [
        {"name": "train.lr", "low": 1e-4, "high": 1e-1, "log": True},
        {"name": "augment", "choices": ["none", "light"]},
        {"name": "model.gamma@svr", "low": 0.2, "high": 5.0, "log": True},
    ],
    "rows": [
        trial(0, 0.9, **{"train.lr": 1e-4, "augment": "none"}),
        trial(1, 0.5, **{"train.lr": 1e-2, "augment": "light", "model.gamma@svr": 1.0}),
        trial(2, None, **{"train.lr": 1e-1, "augment": "none"}),
        trial(3, 0.7, **{"train.lr": 1e-3, "augment": "none"}),
    ],
    "finalists": [],
    "best": {"name": "trial 1", "factors": {"train.lr": 1e-2}, "mean": 0.5, "interval": [0.4, 0.6], "repeats": 3,
             "test": {"mae": 0.52}, "sentence": "trial 1: the best mean.", "recipe_toml": "seed = 3"},
    "importance": {"train.lr": 0.8, "augment": 0.2},
    "importance_under": {"svr": {"model.gamma@svr": 0.9, "train.lr": 0.1}},
}  # fmt: skip


def test_all_four_figures_tell_what_they_show() -> None:
    told = re.findall(r'aria-label="([^"]+)"', render_search(RECORD))
    assert "Mean absolute error of 3 trials; the best so far ends at 0.500" in told
    assert "What mattered: train.lr 0.80, augment 0.20" in told
    assert "What mattered among the trials with svr: model.gamma@svr 0.90, train.lr 0.10" in told
    assert "3 trials over train.lr, augment, model.gamma@svr; the best 1 in colour" in told
    assert "Mean absolute error of 3 trials over train.lr" in told
    assert "Mean absolute error of 1 trials over model.gamma@svr" in told


def test_a_trial_without_a_choice_passes_below_its_axis() -> None:
    parallel = re.search(r"<svg[^>]+3 trials over.*?</svg>", render_search(RECORD), re.DOTALL)[0]
    label = float(re.search(r'<text[^>]* y="([\d.]+)"[^>]*>not chosen<', parallel)[1])
    drawn = re.findall(r'<path d="M([^"]+)"[^>]*class="(?:curve s0|thread)"', parallel)
    lines = [[tuple(map(float, point.split())) for point in line.split("L")] for line in drawn]
    assert parallel.count(">not chosen<") == 1
    assert len(lines) == 3
    below = [line for line in lines if abs(line[2][1] - label) < 5.0]
    assert len(below) == 2  # of three trials one has a gamma
    everyone = [y for line in lines for x, y in line if (x, y) not in {one[2] for one in below}]
    assert max(everyone) < label - 5.0


def test_a_trial_that_was_stopped_is_in_the_table_alone() -> None:
    page = render_search(RECORD)
    assert page.count(">pruned<") == 1
    assert "0.520" in page


def test_without_importance_or_test_part_the_page_says_less() -> None:
    page = render_search({**RECORD, "importance": {}, "importance_under": {}, "best": {**RECORD["best"], "test": None}})
    assert "What mattered" not in page
    assert "there is none: too few photos" in page
