"""The record of a run: one JSON-ready dictionary that terminal, report and files all draw from."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from teliti import __version__
from teliti.evaluation import (
    curves_of,
    decision_record,
    label_curves_of,
    label_mistakes_of,
    measure_classes,
    measure_found_labels,
    measure_numbers,
    mistakes_of,
    number_mistakes_of,
    scatters_of,
    threshold_record,
    warnings_of,
)
from teliti.metrics.decision import Decision
from teliti.metrics.label_decision import LabelsDecision
from teliti.metrics.number_rule import NumberRule
from teliti.recipe import Recipe
from teliti.types import SPLITS, Record
from teliti.workflow.learning.testing import Answers
from teliti.workflow.learning.trained import Trained
from teliti.workflow.shared.photos import Photos
from teliti.workflow.shared.plan import SplitPlan

_CONFLICTS_SHOWN = 3


def record_run(trained: Trained, answers: Answers) -> Record:
    """Everything that was measured, in the words of the JSON contract of `train`."""
    setup, photos, recipe = trained.candidate.setup, trained.photos, trained.recipe
    measured = _measure(trained, answers)
    history = dict(trained.candidate.fit.history)
    network = history.pop("network", None)  # of a trained network: its layers
    return {
        "schema": 1,
        "version": __version__,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "task": photos.catalog.task,
        "classes": list(photos.catalog.classes),
        **({"numbers": list(photos.catalog.number_names)} if photos.catalog.number_names else {}),
        "positive": recipe.data.positive,
        "pass_classes": list(recipe.data.pass_classes),
        "data": _data(photos, trained.plan, recipe),
        "refused": len(photos.refused),
        "refused_photos": [{"path": r.name, "reason": r.reason} for r in photos.refused],
        "model": {**setup.backbone.facts, "head": history.get("head", recipe.model.head)},
        **({} if network is None else {"network": network}),
        "engine": {**setup.engine.to_record(), "threads": setup.source.threads},
        "split_price": trained.candidate.fit.split_price,
        "features_computed": trained.candidate.computed,
        "history": history,
        "parity": answers.parity.to_record(),
        **measured,
        "warnings": [*measured["warnings"], *_data_warnings(trained.plan)],
    }


def _measure(trained: Trained, answers: Answers) -> Record:
    if isinstance(trained.answers, Decision):
        return _measure_classes(trained, answers, trained.answers)
    if isinstance(trained.answers, LabelsDecision):
        return _measure_labels(trained, answers, trained.answers)
    return _measure_numbers(trained, answers, trained.answers)


def _measure_labels(trained: Trained, answers: Answers, decision: LabelsDecision) -> Record:
    fit, seed, samples = trained.candidate.fit, trained.recipe.seed, trained.measured_samples
    targets, chooser = trained.photos.targets[trained.measured], trained.photos.targets[fit.chooser]
    found = decision.labels(fit.chooser_outputs)
    return {
        "threshold": decision.threshold_record(),
        "val": measure_found_labels(chooser, fit.chooser_outputs, found, decision=decision, seed=seed),
        "test": measure_found_labels(targets, answers.outputs, answers.preds, decision=decision, seed=seed),
        "curves": label_curves_of(targets, answers.outputs, decision=decision),
        "mistakes": label_mistakes_of(samples, targets, answers.outputs, preds=answers.preds, decision=decision),
        "warnings": [],
    }


def _measure_classes(trained: Trained, answers: Answers, decision: Decision) -> Record:
    fit, seed, samples = trained.candidate.fit, trained.recipe.seed, trained.measured_samples
    labels, chooser = trained.photos.targets[trained.measured], trained.photos.targets[fit.chooser]
    chooser_preds = decision.labels(fit.chooser_outputs)
    test = measure_classes(labels, answers.outputs, answers.preds, decision=decision, seed=seed)
    return {
        "threshold": threshold_record(decision),
        "val": measure_classes(chooser, fit.chooser_outputs, chooser_preds, decision=decision, seed=seed),
        "test": test,
        "curves": curves_of(labels, answers.outputs, decision=decision),
        "decision": decision_record(labels, answers.outputs, novelty=answers.novelty, decision=decision, seed=seed),
        "mistakes": mistakes_of(samples, labels, answers.outputs, preds=answers.preds, decision=decision),
        "warnings": [*warnings_of(test), *_broken_promises(decision)],
    }


def _broken_promises(decision: Decision) -> list[str]:
    """What was asked of the threshold and cannot be shown."""
    return [
        "What [decide] asked of the threshold cannot be shown with these photos, so a fall-back was taken: see how "
        "the threshold was chosen."
        for promise in decision.evidence.get("promises") or ()
        if not promise["held"]
    ][:1]


def _measure_numbers(trained: Trained, answers: Answers, rule: NumberRule) -> Record:
    fit, seed = trained.candidate.fit, trained.recipe.seed
    targets, chooser = trained.photos.targets[trained.measured], trained.photos.targets[fit.chooser]
    return {
        "threshold": rule.threshold_record(),
        "val": measure_numbers(chooser, rule.labels(fit.chooser_outputs), seed=seed, rule=rule),
        "test": measure_numbers(targets, answers.preds, seed=seed, rule=rule),
        **scatters_of(targets, answers.preds, rule=rule),
        "mistakes": number_mistakes_of(trained.measured_samples, targets, answers.preds, rule=rule),
        "warnings": [],
    }


def _data(photos: Photos, plan: SplitPlan, recipe: Recipe) -> Record:
    seed = recipe.seed if recipe.data.seed is None else recipe.data.seed
    size = recipe.data.image_size
    return {
        "source": photos.catalog.source,
        "photos": len(photos.samples),
        "refused": [{"name": r.name, "reason": r.reason} for r in photos.refused],
        "counts": _counts(photos, plan),
        **({"photo_counts": _photo_counts(photos, plan)} if photos.catalog.task == "multilabel" else {}),
        "notes": list(photos.catalog.notes),
        "image_size": list(size) if isinstance(size, tuple) else size,
        "fit": recipe.data.fit,
        "split": {"origin": plan.origin, "folds": plan.num_folds or None, "seed": seed, "sentence": plan.sentence},
        "duplicates": plan.duplicates,
    }


def _counts(photos: Photos, plan: SplitPlan) -> Record:
    parts = np.array(plan.parts)
    counts: Record = {}
    for part in SPLITS:
        inside = parts == part
        if not inside.any():
            continue
        if photos.catalog.task == "regression":
            counts[part] = {"photos": int(inside.sum())}
        else:
            own = photos.targets[inside]
            numbers = own.sum(axis=0) if own.ndim == 2 else np.bincount(own, minlength=len(photos.catalog.classes))
            counts[part] = dict(zip(photos.catalog.classes, numbers.tolist(), strict=True))
    return counts


def _photo_counts(photos: Photos, plan: SplitPlan) -> Record:
    """Photos of each part, and those without a label: labels overlap, so their counts do not tell."""
    parts, numbers = np.array(plan.parts), photos.targets.sum(axis=1)
    return {
        part: {"photos": int((parts == part).sum()), "without_label": int((numbers[parts == part] == 0).sum())}
        for part in SPLITS
        if (parts == part).any()
    }


def _data_warnings(plan: SplitPlan) -> list[str]:
    warnings = []
    crossing, conflicts = plan.duplicates["crossing"], plan.duplicates["label_conflicts"]
    if crossing:
        cross = "1 pair of near-duplicate photos crosses"
        if len(crossing) > 1:
            cross = f"{len(crossing)} pairs of near-duplicate photos cross"
        warnings.append(
            f"{cross} the given split, so its test part is not unseen: the measures flatter. The report lists them."
        )
    for pair in conflicts[:_CONFLICTS_SHOWN]:
        warnings.append(f'"{pair["first"]}" and "{pair["second"]}" show the same thing under different labels.')
    if len(conflicts) > _CONFLICTS_SHOWN:
        more = len(conflicts) - _CONFLICTS_SHOWN
        warnings.append(f"Near-duplicates with different labels, further pairs: {more}.")
    return warnings
