"""Filling a folder of made photos, and what is said of it: shared by the verbs that write a folder of PNG files.

What is made of a photo is the caller's; here it is called for every photo, kept, counted, and told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from teliti.data.addresses import is_address
from teliti.data.loading import map_ahead
from teliti.data.samples import builtin_names
from teliti.errors import CatalogError, PhotoRefused
from teliti.types import Record, Refused, Reporter, Sample
from teliti.workflow.prepared.folder import REFUSED, Made, PlaceTaken, PreparedFolder
from teliti.workflow.shared.run_folder import RunFolder

_PHOTOS_PER_SAVE = 200
_SHOWN = 3


@dataclass(frozen=True)
class Written:
    """What one start wrote.

    Attributes:
        photos: How many were written now.
        refused: The photos that could not be.
        blocked: Names of those refused in whose place lies another file.
    """

    photos: int
    refused: tuple[Refused, ...]
    blocked: tuple[str, ...]


def write_photos(
    folder: PreparedFolder,
    samples: Sequence[Sample],
    make: Callable[[Sample], Made | None],
    *,
    title: str,
    threads: int,
    ahead: int,
    reporter: Reporter,
) -> Written:
    """Make and keep every photo; the folder's state is saved before, now and then, and after.

    Args:
        folder: Locked by the caller.
        samples: The photos.
        make: Writes what a photo becomes, None where it lies there already; called from threads. May raise
            PhotoRefused.
        title: Of the task.
        threads: At least 1.
        ahead: Photos that a thread may have waiting.
        reporter: Told how far it is.

    Raises:
        StorageError: the disk is full or the folder is not writable.
    """

    def work(sample: Sample) -> Made | PhotoRefused | None:
        try:
            return make(sample)
        except PhotoRefused as refusal:
            return refusal

    def answers() -> Iterator[tuple[int, Made | PhotoRefused | None]]:
        with reporter.task(title, len(samples)) as advance:
            for answer in enumerate(map_ahead(work, samples, threads=threads, ahead=ahead)):
                yield answer
                advance(1)

    return keep_answers(folder, samples, answers())


def keep_answers(
    folder: PreparedFolder, samples: Sequence[Sample], answers: Iterable[tuple[int, Made | PhotoRefused | None]]
) -> Written:
    """Keep what became of every photo, in whatever order it is told.

    Args:
        folder: Locked by the caller.
        samples: The photos.
        answers: Position of a photo, and its files, None where they lay there already, or why it cannot be used.

    Raises:
        StorageError: the disk is full or the folder is not writable.
    """
    written, refused = 0, dict[int, PhotoRefused]()
    with _kept(folder):
        for number, (index, answer) in enumerate(answers, start=1):
            name = samples[index].name
            if isinstance(answer, PhotoRefused):
                folder.made.pop(name, None)
                refused[index] = answer
            elif answer is not None:
                folder.made[name] = answer
                written += 1
            if number % _PHOTOS_PER_SAVE == 0:
                folder.save()
    told = [(samples[index].name, refused[index]) for index in sorted(refused)]
    blocked = tuple(name for name, refusal in told if isinstance(refusal, PlaceTaken))
    return Written(written, tuple(Refused(name, refusal.reason) for name, refusal in told), blocked)


@contextmanager
def _kept(folder: PreparedFolder) -> Iterator[None]:
    """Keep the state before, so that the folder is known as ours, and after, also of an interrupted start."""
    folder.save()
    try:
        yield
    finally:
        folder.save()


def write_refused(out: Path, refused: Sequence[Refused]) -> None:
    """`refused.csv`, or none where nothing was refused: one of an earlier start goes."""
    if refused:
        RunFolder(out).write_table(REFUSED, ("path", "reason"), [(one.name, one.reason) for one in refused])
    else:
        (out / REFUSED).unlink(missing_ok=True)


def refusals(refused: Sequence[Refused]) -> Record:
    """The refused photos in a record."""
    return {
        "refused": len(refused),
        "refused_photos": [{"path": one.name, "reason": one.reason} for one in refused],
    }


def no_photo(source: str, refused: Sequence[Refused], *, what: str, hint: str) -> CatalogError:
    """The sentence for a source all of whose photos were refused: the commonest reason with an example of it.

    Args:
        source: As it was given.
        refused: At least one, with its reason.
        what: What no photo could be, for instance "could be prepared".
        hint: Where all the reasons stand.
    """
    reason, count = Counter(one.reason for one in refused).most_common(1)[0]
    example = next(one.name for one in refused if one.reason == reason)
    common = example if count == 1 else f"{count} of {len(refused)}, such as {example}"
    return CatalogError(f'"{source}" has no photo that {what} ({common}: {reason}).', hint=hint)


def folder_notes(*, stale: Sequence[str], blocked: Sequence[str]) -> list[str]:
    """What is not right with the folder.

    Args:
        stale: Files in it of photos that are gone.
        blocked: Photos in whose place lies another file.
    """
    notes = []
    if stale:
        notes.append(
            f"{len(stale)} files in OUT were made of photos that are gone or renamed ({', '.join(stale[:_SHOWN])}); "
            "they were left as they are: delete them before you train."
        )
    if blocked:
        notes.append(
            f"OUT is incomplete: other files lie in the place of {len(blocked)} prepared photos "
            f"({', '.join(blocked[:_SHOWN])}) and were left as they are. Move them away and run the command again."
        )
    return notes


def findable(source: str) -> str:
    """A path in full, so that the folder knows its photos from anywhere; a built-in name and an address as they are."""
    return source if source in builtin_names() or is_address(source) else str(Path(source).resolve())
