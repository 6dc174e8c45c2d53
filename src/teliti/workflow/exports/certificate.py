"""What the certificate of an export says: the same photos through every path, compared, measured, judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from teliti import __version__
from teliti.bundle import MANIFEST, Bundle
from teliti.data.decode import decode_photo
from teliti.data.second_decoder import decode_by_pillow
from teliti.errors import UserError
from teliti.export.bounds import int8_objections, measure_path
from teliti.export.certificate import PathAnswers, agree, answer_photos, compare_paths, photo_list
from teliti.files import hash_file
from teliti.metrics.number_rule import NumberRule
from teliti.predictor import Predictor
from teliti.runtime import default_threads, environment_record
from teliti.sessions import Session
from teliti.types import Record, Reporter, Sample
from teliti.workflow.learning.training_path import TrainingPath

SCHEMA = 1


@dataclass(frozen=True)
class Paths:
    """The answers of every path to the same photos.

    Attributes:
        own: The bundle's own file, what `predict` uses.
        exported: The exported file.
        second: The same behind another decoder.
        training: torch; None where it is not installed.
    """

    own: PathAnswers
    exported: PathAnswers
    second: PathAnswers
    training: PathAnswers | None


def answer_by_all(
    reference: Predictor,
    session: Session,
    training: TrainingPath,
    *,
    samples: Sequence[Sample],
    int8: bool,
    reporter: Reporter,
) -> Paths:
    """Send the photos through every path.

    Args:
        reference: The bundle's own file.
        session: The exported file.
        training: The training path.
        samples: The photos.
        int8: Whether the exported file is of eight bits.
        reporter: Told how far it is.
    """
    opened, threads = reference.bundle, reference.threads
    engine = f"{session.engine} {'int8' if int8 else 'f32'}"
    run = partial(answer_photos, samples=samples, reporter=reporter)
    exported = Predictor(opened, threads=threads, session=session)
    by_torch = None
    if training.session is not None:
        trained = Predictor(opened, threads=threads, session=training.session)
        by_torch = run(trained, decode=decode_photo, name=training.name)
    return Paths(
        run(reference, decode=decode_photo, name="the bundle's own file"),
        run(exported, decode=decode_photo, name=engine),
        run(exported, decode=decode_by_pillow, name=f"{engine} behind Pillow's decoder"),
        by_torch,
    )


def check_compared(paths: Paths, samples: Sequence[Sample], source: str) -> None:
    """A comparison of nothing proves nothing.

    Raises:
        UserError: no photo could be used.
    """
    if not paths.own.predictions:
        reason = next(iter(paths.own.refused.values()), "there is none")
        raise UserError(
            f"{source} must hold photos to compare on, and none of {len(samples)} can be used ({reason}).",
            hint="Name others with --data.",
        )


def certify(
    opened: Bundle, paths: Paths, samples: Sequence[Sample], *, to: str, int8: bool, least_defect_recall: float | None
) -> Record:
    """The certificate from the answers alone.

    Args:
        opened: The bundle.
        paths: From `answer_by_all`.
        samples: The photos.
        to: The runtime.
        int8: Whether the exported file is of eight bits.
        least_defect_recall: See `int8_objections`.
    """
    comparisons = [compare_paths(paths.own, paths.exported, samples)]
    comparisons.append(compare_paths(paths.exported, paths.second, samples))
    if paths.training is not None:  # eight bits are rounded on purpose: the network that was rounded is held to torch
        comparisons.append(compare_paths(paths.training, paths.own if int8 else paths.exported, samples))
    defects = defect_names(opened)
    measures = {path.name: measure_path(path, samples, defects=defects) for path in (paths.own, paths.exported)}
    objections = [_objection(one) for one in (comparisons[2:] if int8 else comparisons) if not agree(one)]
    if int8:
        objections += int8_objections(
            *measures.values(), comparison=comparisons[0], least_defect_recall=least_defect_recall
        )
    return {
        "schema": SCHEMA,
        "version": __version__,
        "target": to,
        "precision": "int8" if int8 else "f32",
        "model_sha256": opened.model_hash,
        "bundle_sha256": hash_file(opened.path / MANIFEST),
        "photos": len(samples),
        "refused": len(paths.own.refused),
        "judged": photo_list(paths.own, samples),
        "comparisons": comparisons,
        "measures": measures,
        "objections": objections,
        "passed": not objections,
        "environment": environment_record(threads=default_threads()),
    }


def tell_training_path(training: TrainingPath, comparisons: Sequence[Record], quoted: Record | None) -> Record:
    """What is known of torch: compared now, else quoted from the run, else why neither.

    Args:
        training: The training path.
        comparisons: Of the certificate.
        quoted: What the run found when it was trained; None where it is not known.
    """
    if training.session is None:
        when = "at the end of the training, on the test part" if quoted else None
        return {"compared": quoted is not None, "when": when, "by": None, "why": training.why, **(quoted or {})}
    found = {name: value for name, value in comparisons[2].items() if name not in {"between", "changed"}}
    return {"compared": True, "when": "now", "by": training.name, "why": training.why, **found, "at_training": quoted}


def defect_names(opened: Bundle) -> tuple[str, ...]:
    """The classes or labels that are rejected; none for numbers."""
    answers = opened.answers
    if isinstance(answers, NumberRule):
        return ()
    return tuple(answers.classes[index] for index in answers.reject_indices)


def defect_floor(opened: Bundle, asked: float | None) -> float | None:
    """The share of defects that must be caught: what is asked for, or what the recipe promised; None: any.

    Of a bundle that rejects nothing no photo is a defect: the recipe's promise is then of labels, which have a recall.
    """
    if asked is not None:
        return asked
    if not defect_names(opened):
        return None
    recipe = opened.manifest.get("provenance", {}).get("recipe", {})  # none in a bundle made by hand
    most = recipe.get("decide", {}).get("max_miss_rate")
    return None if most is None else 1.0 - float(most)


def _objection(comparison: Record) -> str:
    first, second = comparison["between"]
    return (
        f"Between {first} and {second}, {comparison['changed_verdicts']} of {comparison['photos']} verdicts changed, "
        f"logits differ by up to {comparison['max_logit_difference']:.2g}, and {comparison['refused_by_one']} photos "
        "are refused by one of them only."
    )
