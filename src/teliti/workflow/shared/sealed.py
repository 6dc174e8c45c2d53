"""The photos that a bundle was never shown: the sealed test part of its own run, or photos that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from teliti.bundle import SEEN_DIGITS, SEEN_FILE, Bundle
from teliti.data.catalog import read_catalog
from teliti.data.label_cells import WantedTask
from teliti.errors import CatalogError, PhotoRefused, UserError
from teliti.files import sha256_hex, spreadsheet_cell
from teliti.metrics.number_rule import NumberRule
from teliti.types import Catalog, Record, Sample
from teliti.workflow.shared.photos import leave_out_companions
from teliti.workflow.shared.run_folder import RunFolder

SPLITS_FILE = "splits.csv"
_FOLDED = "all photos, learnt from too since its run had folds,"
T = TypeVar("T")


@dataclass(frozen=True)
class RunPhotos:
    """The photos of a bundle's own run.

    Attributes:
        source: What the run learnt from.
        learnt: Photos that were learnt from.
        sealed: Photos that nothing was chosen on; with folds all of them.
        parity: What the run found between torch and the bundle's file, from its record.
        choosing: Photos that thresholds were chosen on and no network learnt from; of an ensemble the partner's head is
            fitted on them, too. None with folds.
        folds: Number of the fold of each sealed photo; empty without folds. With them the bundle learnt from its sealed
            photos, too: each was sealed in one fold alone.
        part: What the sealed photos are called.
        chosen_on: What the choosing photos are called.
    """

    source: str
    learnt: tuple[Sample, ...]
    sealed: tuple[Sample, ...]
    parity: Record | None
    choosing: tuple[Sample, ...] = ()
    folds: tuple[int, ...] = ()
    part: str = "the sealed test part"
    chosen_on: str = "validation photos"

    def apart(self) -> RunPhotos:
        """The same photos in parts that share none: of the folds one to make with, one to choose by, the others sealed.

        Of two folds none is left to choose by. Photos that belong together share a fold, so that no part has a
        near-copy of another's photo.
        """
        if not self.folds:
            return self
        first, *others = sorted(set(self.folds))
        second, last = (others[:1], others[1:]) if len(others) > 1 else ([], others)
        parts = (
            tuple(one for one, fold in zip(self.sealed, self.folds, strict=True) if fold in wanted)
            for wanted in ([first], second, last)
        )
        learnt, choosing, sealed = parts
        return replace(
            self, learnt=learnt, choosing=choosing, sealed=sealed, folds=(), chosen_on="photos of another fold",
            part=f"{len(last)} of {len(others) + 1} folds, learnt from too,",
        )  # fmt: skip


def photos_of_run(bundle: Bundle) -> RunPhotos | None:
    """The photos that a bundle's own run learnt from and was tested on; None where the bundle left its run folder.

    Args:
        bundle: Opened.

    Raises:
        UserError: the photos are gone, or have changed since.
    """
    run = RunFolder(bundle.path.absolute().parent)
    if not (run.path / SPLITS_FILE).is_file() or run.bundle.name != bundle.path.name:
        return None
    state = run.read_state()
    catalog = leave_out_companions(read_catalog(state["source"], task=wanted_task(bundle)), bundle.aside_patterns)
    by_cell = {spreadsheet_cell(sample.name): sample for sample in catalog.samples}
    rows = run.read_table(SPLITS_FILE)
    gone = [row["path"] for row in rows if row["path"] not in by_cell]
    if gone:
        raise UserError(
            f'The photos of "{state["source"]}" must be those of the run, and {len(gone)} are gone, '
            f'the first is "{gone[0]}".',
            hint="Bring them back, or name other labelled photos with --data.",
        )
    sealed = tuple(by_cell[row["path"]] for row in rows if row["split"] in {"test", "fold"})
    learnt = tuple(by_cell[row["path"]] for row in rows if row["split"] in {"train", "fold"})
    choosing = tuple(by_cell[row["path"]] for row in rows if row["split"] == "val")
    _check_unchanged(sealed, [row["sha256"] for row in rows if row["split"] in {"test", "fold"}])
    record = state.get("record") or {}
    found = RunPhotos(str(state["source"]), learnt, sealed, record.get("parity"), choosing)
    folds = tuple(int(row["fold"]) for row in rows if row["split"] == "fold")
    return replace(found, folds=folds, part=_FOLDED) if folds else found


def _check_unchanged(samples: Sequence[Sample], digests: Sequence[str]) -> None:
    for sample, digest in zip(samples, digests, strict=True):
        if sha256_hex(sample.origin.read_bytes()) != digest:
            raise UserError(
                f'"{sample.name}" has changed since the run was tested on it.',
                hint="Name other labelled photos with --data.",
            )


def even_choice(samples: Sequence[T], *, most: int) -> list[T]:
    """At most so many samples, spread evenly over the list, which is sorted by class and name."""
    if len(samples) <= most:
        return list(samples)
    return [samples[index * len(samples) // most] for index in range(most)]


def seen_photos(bundle: Bundle, samples: Sequence[Sample]) -> list[bool]:
    """Of each photo whether the bundle was trained on it or its threshold chosen on it; one that vanished was not."""
    path = bundle.path / SEEN_FILE
    known = set(path.read_text(encoding="ascii").split()) if path.is_file() else set()
    return [bool(known) and (hash_photo(sample) or "")[:SEEN_DIGITS] in known for sample in samples]


def hash_photo(sample: Sample) -> str | None:
    """SHA-256 of a photo's bytes, 64 hexadecimal digits; None where it vanished."""
    try:
        return sha256_hex(sample.origin.read_bytes())
    except PhotoRefused:
        return None


def labelled_photos(source: str | Path, bundle: Bundle) -> tuple[Sample, ...]:
    """The labelled photos of a source that the user names; of a given split only its test part.

    Raises:
        CatalogError: the source cannot be read, or has labels that the bundle does not know.
    """
    catalog = leave_out_companions(read_catalog(str(source), task=wanted_task(bundle)), bundle.aside_patterns)
    check_labels(catalog, bundle)
    if not catalog.has_given_split:
        return catalog.samples
    return tuple(sample for sample in catalog.samples if sample.split == "test")


def check_labels(catalog: Catalog, bundle: Bundle) -> None:
    """Labels must be of the bundle's kind and of its classes.

    Raises:
        CatalogError: they are not.
    """
    answers = bundle.answers
    if catalog.task != bundle.task:
        raise CatalogError(
            f"The labels must suit a {bundle.task} bundle, got labels for {catalog.task}.",
            hint="Numbers as labels mean regression; names mean classes.",
        )
    if isinstance(answers, NumberRule):
        if catalog.number_names != answers.names:
            raise CatalogError(
                f"The numbers must be {_listed(answers.names)}, got {_listed(catalog.number_names)}.",
                hint="Name and order the columns as in the label file that the bundle was trained with.",
            )
        return
    unknown = sorted(set(catalog.classes) - set(answers.classes))
    if unknown:
        raise CatalogError(
            f'Label must be one of {", ".join(answers.classes)}, got "{unknown[0]}".',
            hint="Rename the class, or leave its photos out.",
        )


def wanted_task(bundle: Bundle) -> WantedTask:
    """What photos that a bundle is measured on are read as: those of one with several labels may have one each."""
    return "multilabel" if bundle.task == "multilabel" else "auto"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "one for each photo"
