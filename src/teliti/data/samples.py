"""Built-in photo sets that other packages carry: `elpv`, `elpv-regression` and `digits`. Nothing is downloaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from teliti import runtime
from teliti.data.origins import ArrayOrigin, FileOrigin
from teliti.errors import CatalogError, MissingExtraError
from teliti.types import Catalog, Sample

DEFECTIVE_FROM = 0.5
"""Experts' probability of a defect from which a solar cell counts as defective."""

_ELPV_NOTE = (
    "elpv: 2,624 solar cells by Buerhop-Lutz, Deitsch et al., licence CC BY-NC-SA 4.0: "
    "not for commercial use, and not part of Teliti."
)


def builtin_names() -> tuple[str, ...]:
    """Names that stand for a set instead of a path, sorted."""
    return tuple(sorted(_READERS))


def read_builtin(name: str) -> Catalog:
    """The catalog of a built-in set.

    Raises:
        MissingExtraError: the package that carries the photos is not installed.
        CatalogError: the installed package is damaged.
    """
    return replace(_READERS[name](), labels_from=f"built-in set {name}")


def _read_elpv() -> Catalog:
    samples = tuple(
        Sample(name, origin, "defective" if probability >= DEFECTIVE_FROM else "functional")
        for name, origin, probability in _elpv_rows()
    )
    note = f"elpv: a cell is defective where the experts' probability is at least {DEFECTIVE_FROM}."
    return Catalog("elpv", samples, (), "classification", ("defective", "functional"), notes=(note, _ELPV_NOTE))


def _read_elpv_regression() -> Catalog:
    samples = tuple(Sample(name, origin, probability) for name, origin, probability in _elpv_rows())
    note = "elpv-regression: the number is the experts' probability of a defect: 0, 1/3, 2/3 or 1."
    return Catalog("elpv-regression", samples, (), "regression", (), notes=(note, _ELPV_NOTE))


def _elpv_rows() -> list[tuple[str, FileOrigin, float]]:
    spec = importlib.util.find_spec("elpv_dataset")  # found, not imported: its code is not needed
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("demo", purpose="read the built-in set elpv", library="elpv_dataset")
    folder = (Path(next(iter(spec.submodule_search_locations))) / "data").resolve()
    try:
        rows = [line.split() for line in (folder / "labels.csv").read_text(encoding="ascii").splitlines() if line]
        return [(path, FileOrigin(path, str(folder)), float(number)) for path, number, _ in rows]
    except (OSError, ValueError) as error:
        raise CatalogError(
            "The installed elpv-dataset package has no readable label file.",
            hint="Reinstall it with: pip install --force-reinstall elpv-dataset",
        ) from error


def _read_digits() -> Catalog:
    library = runtime.require("sklearn.datasets", extra="train", purpose="read the built-in set digits")
    digits = library.load_digits()
    images = np.rint(digits.images * (255.0 / 16.0)).astype(np.uint8)  # (1797, 8, 8), stored as 0 to 16
    samples = tuple(
        Sample(f"digits/{index:04d}", ArrayOrigin(image.tobytes(), *image.shape), str(label))
        for index, (image, label) in enumerate(zip(images, digits.target, strict=True))
    )
    return Catalog("digits", samples, (), "classification", tuple(str(label) for label in range(10)))


_READERS: dict[str, Callable[[], Catalog]] = {
    "digits": _read_digits,
    "elpv": _read_elpv,
    "elpv-regression": _read_elpv_regression,
}
