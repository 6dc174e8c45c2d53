"""Info: what a bundle is, what this installation can do, what the cache holds."""

from __future__ import annotations

from pathlib import Path

from teliti import __version__
from teliti.cache import RowCache
from teliti.evaluation import threshold_record
from teliti.metrics.answers import AnswerRule
from teliti.metrics.decision import Decision
from teliti.metrics.number_rule import NumberRule
from teliti.models.weights import installed_backbones
from teliti.predictor import Predictor
from teliti.runtime import default_threads, environment_record, is_installed
from teliti.types import Record


def info_bundle(bundle: str | Path) -> Record:
    """Facts of a bundle, and whether its golden photos still get their scores here.

    Raises:
        BundleError: missing, damaged, or of another schema.
    """
    predictor = Predictor.open(bundle)
    opened = predictor.bundle
    answers = opened.answers
    names = (
        {"classes": [], "positive": None, **({"numbers": list(answers.names)} if answers.names else {})}
        if (isinstance(answers, NumberRule))
        else {"classes": list(answers.classes), "positive": answers.positive}
    )
    return {
        "schema": 1,
        "bundle": str(bundle),
        "version": opened.manifest.get("version"),
        "created": opened.manifest.get("created"),
        "task": opened.task,
        **names,
        "threshold": _threshold(answers),
        "prepare": opened.chain.to_record(),
        "image_size": list(opened.chain.image_size),
        "model_sha256": opened.model_hash,
        "envelope": None if opened.envelope is None else opened.envelope.to_record(),
        "amended": opened.manifest.get("amended", []),
        "provenance": opened.manifest.get("provenance"),
        "self_test": predictor.self_test(),
    }


def _threshold(answers: AnswerRule) -> Record | None:
    if isinstance(answers, NumberRule):
        return None
    return threshold_record(answers) if isinstance(answers, Decision) else answers.threshold_record()


def info_cache() -> Record:
    """What the cache holds: place, bound, one record a space, and the bytes of exported backbones."""
    cache = RowCache()
    files = cache.folder / "files"
    return {
        "schema": 1,
        "path": str(cache.folder),
        "limit_bytes": cache.limit_bytes,
        "spaces": cache.overview(),
        "files_bytes": sum(file.stat().st_size for file in files.glob("*")) if files.is_dir() else 0,
    }


def info_environment() -> Record:
    """What this installation can do: versions, threads, backbones with packaged weights, engines."""
    return {
        "schema": 1,
        "version": __version__,
        "environment": environment_record(threads=default_threads()),
        "backbones": list(installed_backbones()),
        "engines": [name for name in ("openvino", "onnxruntime", "torch") if is_installed(name)],
        "can_train": all(is_installed(name) for name in ("torch", "timm", "sklearn", "onnx")),
    }
