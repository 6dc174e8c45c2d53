"""Info: what a bundle is, what this installation can do, what the cache holds."""

from __future__ import annotations

from pathlib import Path

from teliti import __version__
from teliti.cache import RowCache
from teliti.evaluation import threshold_record
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
    decision = opened.decision
    return {
        "schema": 1,
        "bundle": str(bundle),
        "version": opened.manifest.get("version"),
        "created": opened.manifest.get("created"),
        "task": opened.task,
        "classes": list(decision.classes) if decision else [],
        "positive": decision.positive if decision else None,
        "threshold": threshold_record(decision) if decision else None,
        "prepare": opened.chain.to_record(),
        "image_size": list(opened.chain.image_size),
        "model_sha256": opened.model_hash,
        "provenance": opened.manifest.get("provenance"),
        "self_test": predictor.self_test(),
    }


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
