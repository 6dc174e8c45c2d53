"""What of a budget is left for the epochs: a budget is for the whole command, from the first photo to the report.

What was spent is known. What will follow is told by counts and by the trained network's own speed: its features of
photos that calibrate it and that tell what is new, the exported file, and the test of that file beside torch.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from teliti.recipe.sections import parse_seconds
from teliti.recipe.train import TrainRecipe
from teliti.training.features.novelty import MOST_PHOTOS as MOST_NEW
from teliti.types import Reporter
from teliti.workflow.learning.learnt_head import Schooling
from teliti.workflow.learning.run_evidence import MOST_PHOTOS as MOST_EVIDENCE
from teliti.workflow.learning.run_evidence import views_a_photo
from teliti.workflow.shared.part_finding import way_to_parts
from teliti.workflow.shared.setup import build_recipe_chain
from teliti.workflow.shared.stopwatch import Stopwatch

if TYPE_CHECKING:
    from teliti.training.heads.trained_net import FeatureFront

_TIMED = 16  # photos
_HARDLY_S = 1e-3  # a budget, less than an epoch takes
_BASIS_S, _LAYER_S = 3.0, 0.05  # of writing a network as ONNX: its tracing goes layer by layer
_PHOTO_S = 0.004  # of a photo that is asked about by itself: reading, preparing, and the calls of a small network
_ENDING_S = 5.0  # head, card, golden photos, report


@dataclass(frozen=True)
class Following:
    """What a run does behind its epochs.

    Attributes:
        features: Pictures that the trained network is asked about for calibration and novelty.
        tested: Pictures that the exported file and torch answer.
        shown: Pictures that the file answers besides, for the evidence.
        networks: That answer together: 2 where there is a partner.
        layers: Of the one that learnt; a partner's graph is there already.
    """

    features: int
    tested: int
    shown: int
    networks: int
    layers: int

    def seconds(self, a_picture: float) -> float:
        """How long it takes, about.

        Args:
            a_picture: Seconds that one network takes for a picture.
        """
        passes = self.features + self.networks * (2 * self.tested + self.shown)
        alone = _PHOTO_S * (self.tested + self.shown)
        return passes * a_picture + alone + _BASIS_S * self.networks + _LAYER_S * self.layers + _ENDING_S


def leave_for_epochs(
    options: TrainRecipe, front: FeatureFront, schooling: Schooling, *, networks: int, watch: Stopwatch,
    reporter: Reporter,
) -> TrainRecipe:  # fmt: skip
    """The options with what is left of the budget for the epochs; where nothing is, one epoch learns nevertheless.

    Args:
        options: Where no clock is asked, with no budget or in a replay, they stay as they are.
        front: The network, on the CPU.
        schooling: What it will learn from.
        networks: That may answer together.
        watch: Of the whole command.
        reporter: Told of the sum.
    """
    from teliti.training.budget import has_open_budget

    if not has_open_budget(options):
        return options
    after_s = what_follows(front, schooling, networks=networks).seconds(_seconds_a_picture(front, schooling))
    whole, spent_s = parse_seconds(options.budget or 0.0), watch.elapsed()
    left = whole - spent_s - after_s
    epochs = f"the epochs get {left:.0f} s" if left > 0.0 else "nothing is left, so one epoch is learnt"
    reporter.note(
        f"Of the budget of {whole:.0f} s {epochs}: {spent_s:.0f} s are spent, and export, test and report will take "
        f"about {after_s:.0f} s."
    )
    return options.model_copy(update={"budget": max(_HARDLY_S, left)})


def what_follows(front: FeatureFront, schooling: Schooling, *, networks: int) -> Following:
    """What a run that packs, tests and reports its network will have to do.

    Args:
        front: The network.
        schooling: What it learns from.
        networks: That may answer together; one of the same size is counted for each.
    """
    recipe, photos, parts, pictures = schooling.recipe, schooling.photos, schooling.parts, schooling.pictures
    tested = [photos.samples[index] for index in schooling.plan.indices("test")]
    is_classes = photos.catalog.task == "classification"
    new = min(len(parts.learn), MOST_NEW) if is_classes and recipe.decide.novelty_share > 0.0 else 0
    looks = photos.catalog.task != "regression" and way_to_parts(recipe, build_recipe_chain(recipe), tested) is not None
    tiles = len(pictures.images) / len(parts.used)
    return Following(
        features=round(tiles * (len(parts.hold) + new)),
        tested=round(tiles * len(tested)),
        shown=round(tiles * views_a_photo(photos.catalog) * min(len(tested), MOST_EVIDENCE)) if looks else 0,
        networks=networks,
        layers=sum(1 for module in front.modules() if next(module.children(), None) is None),
    )


def _seconds_a_picture(front: FeatureFront, schooling: Schooling) -> float:
    """Measured in a moment on some pictures; the network is left as it was."""
    from teliti.training.heads.trained_net import features_of

    some, was_training = list(schooling.pictures.images[:_TIMED]), front.training
    front.eval()
    features_of(front, some)  # kernels of this size are made
    started = time.perf_counter()
    features_of(front, some)
    taken = time.perf_counter() - started
    front.train(was_training)
    return taken / len(some)
