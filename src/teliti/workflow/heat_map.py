"""Which places of one photo an answer rests on: an occlusion map, by the predictor itself."""

from __future__ import annotations

import base64
from collections.abc import Callable

import cv2
import numpy as np

from teliti.data.decode import decode_photo
from teliti.errors import RunError, UserError
from teliti.explain.occlusion import PASSES, draw_heat, occlusion_map
from teliti.metrics.decision import Decision
from teliti.metrics.label_decision import LabelsDecision
from teliti.predictor import Predictor
from teliti.types import FloatArray, Record, UInt8Image

__all__ = ["METHOD", "PASSES", "explain_photo"]

METHOD = "occlusion (Zeiler and Fergus 2014)"


def explain_photo(predictor: Predictor, data: bytes, *, is_wanted: Callable[[], bool] = lambda: True) -> Record:
    """The heat map of one photo: 65 times the computing of its verdict.

    Args:
        predictor: What judges.
        data: The encoded photo.
        is_wanted: Asked before each pass; False gives up.

    Returns:
        {"method", "of", "unit", "values", "png"}: values (7, 7) of the picture as the network sees it, prepared and
        framed; `png` is that picture with the heat on it, in base64.

    Raises:
        PhotoRefused: the photo cannot be used.
        UserError: the bundle judges a photo in tiles, of which there is no one map.
        RunError: it was given up.
    """
    pictures = predictor.bundle.chain.views(decode_photo(data))
    if len(pictures) != 1:
        raise UserError(
            "A heat map must be of one picture, and this model judges a photo in tiles.",
            hint="Train it without the step tile.",
        )
    of, unit, evidence = _question(predictor, predictor.score_batch(pictures).logits[0])

    def ask(picture: UInt8Image) -> float:
        if not is_wanted():
            raise RunError("The heat map was given up.", hint="Ask for it with fewer photos in hand.")
        return evidence(predictor.score_batch(picture[None]).logits[0])

    attribution = occlusion_map(pictures[0], ask)
    _, png = cv2.imencode(".png", cv2.cvtColor(draw_heat(pictures[0], attribution), cv2.COLOR_RGB2BGR))
    return {
        "method": METHOD,
        "of": of,
        "unit": unit,
        "passes": PASSES,
        "values": [[round(float(value), 4) for value in row] for row in attribution],
        "png": base64.b64encode(png.tobytes()).decode("ascii"),
    }


def _question(predictor: Predictor, logits: FloatArray) -> tuple[str, str, Callable[[FloatArray], float]]:
    """What the map is about, its unit, and the evidence for it: the rejected classes, else the answer given.

    Log-odds rather than a probability: a probability of 0.9999 loses nothing that could be seen.
    """
    answers = predictor.bundle.answers
    if not isinstance(answers, Decision | LabelsDecision):
        return "value", "value", lambda row: float(row[0])
    best = int(np.argmax(logits))
    if isinstance(answers, LabelsDecision):
        return answers.classes[best], "log-odds", lambda row: float(row[best])
    asked = list(answers.reject_indices) or [best]
    others = [at for at in range(len(answers.classes)) if at not in asked]
    name = " or ".join(answers.classes[at] for at in asked)
    return name, "log-odds", lambda row: _log_sum(row[asked]) - _log_sum(row[others])


def _log_sum(logits: FloatArray) -> float:
    return float(np.logaddexp.reduce(np.asarray(logits, dtype=np.float64)))
