"""The page of a sensitivity table: noise is grey, chance is flagged with its cause, and every cell has its price."""

from __future__ import annotations

import re

from teliti.report.sensitivity_page import render_sensitivity

CELL = {"interval": [0.6, 0.8], "repeats": 3, "seconds": 12.0, "energy_wh": 0.05, "difference": None, "varied": [],
        "at_chance": False, "cause": None, "trouble": None}  # fmt: skip


def cell(mean: float | None, rate: str, **others) -> dict:
    return {**CELL, "mean": mean, "factors": {"model.backbone": "vgg16", "train.lr": rate}, **others}


RECORD = {
    "title": "Sensitivity on parts", "version": "1", "measure": "accuracy", "more_is_better": True, "chance": 0.34,
    "photos": 40, "repeats": 3, "watts": 30.0, "workers": 2, "design": "Folds.", "course": "course table",
    "command": "teliti sensitivity parts", "recipe_toml": "", "environment": {},
    "cost": {"vgg16": {"photo_s": 0.012, "peak_bytes": None, "size": 1234567}},
    "rows": [
        cell(0.7, "0.001"),
        cell(0.71, "0.005", varied=["train.lr"], difference={"mean": 0.01, "verdict": "inside the noise"}),
        cell(0.33, "0.5", varied=["train.lr"], difference={"mean": -0.37, "verdict": "harms"}, at_chance=True,
             cause="The loss rose. Lower the rate."),
        cell(None, "9", varied=["train.lr"], trouble="no memory", cause="no memory"),
    ],
    "table": [
        {"network": "vgg16", "factor": "train.lr", "value": value, "cell": at, "course": course}
        for at, (value, course) in enumerate([("0.001", 0.4), ("0.005", 0.33), ("0.5", None), ("9", None)])
    ],
}  # fmt: skip


def cells_of(page: str) -> list[tuple[str, str]]:
    heat = page[page.index('class="heat"') : page.index("</table>")]
    found = re.findall(r'<td class="(\w+)">(.*?)</td>', heat, re.DOTALL)
    return [(kind, re.sub(r"<[^>]*>", " ", words)) for kind, words in found]


def test_noise_is_grey_and_a_better_cell_is_darker() -> None:
    base, quiet, poor, failed = cells_of(render_sensitivity(RECORD))
    assert quiet[0] == "noise" == failed[0]
    assert (base[0], poor[0]) == ("shade7", "shade0")
    assert "(0.40)" in base[1]
    assert "failed" in failed[1]


def test_chance_is_flagged_with_its_likely_cause() -> None:
    page = render_sensitivity(RECORD)
    assert [" at chance" in words for _, words in cells_of(page)] == [False, False, True, False]
    assert "1 cell not shown to be better than the best constant answer (0.340)." in page
    assert "vgg16, train.lr 9: no memory" in page
    assert "vgg16, train.lr 0.5: The loss rose. Lower the rate." in page


def test_every_cell_has_its_time_and_energy() -> None:
    page = render_sensitivity(RECORD)
    assert page.count("0.05 Wh") == 4
    assert "12.0 ms a photo and epoch, 1,234,567 numbers" in page
