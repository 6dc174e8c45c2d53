"""The exported network beside torch on elpv's sealed test part, and two runs of one resolved recipe, bit by bit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from teliti.files import hash_file


def run() -> dict:
    """One row a run; each in a process and a cache of its own, so that each exports the backbone anew."""
    work = Path(tempfile.mkdtemp())
    try:
        first = _train(work, "first", ["elpv", "--preset", "fast"])
        second = _train(work, "second", ["elpv", "--recipe", str(work / "first" / "recipe.toml")])
        rows = [_row("--preset fast", first, work / "first"), _row("its resolved recipe", second, work / "second")]
    finally:
        shutil.rmtree(work)
    return {
        "name": "Parity and repeatability",
        "about": "`teliti train elpv`, twice: every photo of the sealed test part through ONNX Runtime and through "
        "torch, and the second run from the first one's resolved recipe with an empty cache. Logits agree when they "
        "differ by at most 1e-4 of the larger of 1 and their size.",
        "rows": rows,
    }


def _train(work: Path, name: str, words: list[str]) -> dict:
    environment = os.environ | {"TELITI_CACHE": str(work / f"cache-{name}")}
    command = [sys.executable, "-m", "teliti", "train", *words, "--out", str(work / name), "--json", "--quiet"]
    return dict(json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout))


def _row(title: str, record: dict, folder: Path) -> dict[str, str]:
    parity = record["parity"]
    return {
        "run": title,
        "photos compared": str(parity["photos"]),
        "largest difference of logits": f"{parity['max_logit_difference']:.1e}",
        "largest difference of probabilities": f"{parity['max_abs_difference']:.1e}",
        "changed verdicts": str(parity["changed_verdicts"]),
        "model.onnx, SHA-256": hash_file(folder / "bundle" / "model.onnx")[:16],
        "weights, SHA-256": hash_file(folder / "bundle" / "weights.safetensors")[:16],
        "test accuracy": f"{record['test']['accuracy']:.6f}",
        "test log loss": f"{record['test']['log_loss']:.9f}",
    }
