"""Demo: the whole job on real photos that a package carries."""

from __future__ import annotations

from pathlib import Path

from teliti.recipe import Recipe
from teliti.types import Record, Reporter
from teliti.workflow.train import train

SOURCE = "elpv"
LICENCE = (
    "The photos are the ELPV dataset of solar cells (Deitsch et al., Buerhop-Lutz et al.), CC BY-NC-SA 4.0: "
    "not for commercial use. None of them is part of Teliti."
)


def demo(*, out: str | Path | None = None, reporter: Reporter | None = None) -> Record:
    """Train on the 2,624 solar-cell photos of the package elpv-dataset with the default recipe.

    Args:
        out: The run's folder, new or empty.
        reporter: Told how far it is.

    Returns:
        The record of `train`, and the photos' licence under `licence`.

    Raises:
        MissingExtraError: the demo extra is not installed.
    """
    record = train(SOURCE, recipe=Recipe(), out=out, reporter=reporter, command="teliti demo")
    return {**record, "licence": LICENCE}
