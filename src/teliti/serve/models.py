"""The bundles that are served, by name; one is exchanged at once and whole."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from teliti.errors import UserError
from teliti.serve.drift import LineDrift
from teliti.sessions import EngineWish
from teliti.types import Record
from teliti.workflow.inspection import Inspector

_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Computing:
    """How verdicts are computed.

    Attributes:
        engine: See `Inspector`.
        photos_per_call: See `Inspector`.
        threads: Photos in hand at once.
    """

    engine: EngineWish = "onnxruntime"
    photos_per_call: int | None = 1
    threads: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """One opened bundle under its name.

    Attributes:
        name: As requests name it.
        inspector: What judges.
        drift: Of its scores and its photos.
        since: When it was opened.
    """

    name: str
    inspector: Inspector
    drift: LineDrift
    since: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_record(self, *, is_default: bool) -> Record:
        """What clients are told of it."""
        opened = self.inspector.predictor.bundle
        return {
            "name": self.name,
            "default": is_default,
            "model_hash": self.inspector.model_hash,
            "bundle_hash": self.inspector.bundle_hash,
            "task": opened.task,
            "classes": list(self.inspector.classes),
            "threshold": self.inspector.threshold,
            **self.inspector.engine_record(),
            "since": self.since.isoformat(timespec="seconds"),
        }


class Models:
    """Bundles by name; the first is the default.

    Args:
        folders: Folder by name.
        computing: How their verdicts are computed.

    Raises:
        BundleError, MissingExtraError, RunError, UserError: as `Inspector`.
    """

    def __init__(self, folders: Mapping[str, Path], *, computing: Computing | None = None) -> None:
        self._folders = dict(folders)
        self._computing = computing or Computing()
        self._served = {name: self._open(name, folder) for name, folder in folders.items()}
        self._lock = threading.Lock()

    def all(self) -> list[Served]:
        """Every bundle, the default first."""
        return list(self._served.values())

    def get(self, name: str | None) -> Served:
        """The bundle of that name, or the default. Whoever holds it goes on with it when it is exchanged.

        Raises:
            KeyError: there is none of that name.
        """
        return self.all()[0] if name is None else self._served[name]

    def reload(self, name: str) -> Served:
        """Open the folder of that name anew, test it, and put it in the place of the old one.

        Raises:
            KeyError: there is none of that name.
            BundleError, RunError, UserError: as `Inspector`; the old one stays.
        """
        with self._lock:
            fresh = self._open(name, self._folders[name])
            self._served[name] = fresh
        return fresh

    def to_record(self) -> Record:
        """What clients are told of all."""
        return {
            "schema": 1,
            "models": [served.to_record(is_default=not at) for at, served in enumerate(self.all())],
        }

    def _open(self, name: str, folder: Path) -> Served:
        how = self._computing
        inspector = Inspector(folder, threads=how.threads, engine=how.engine, photos_per_call=how.photos_per_call)
        return Served(name, inspector, LineDrift(inspector.predictor.bundle))


def name_bundles(words: Sequence[str]) -> dict[str, Path]:
    """Folder by name, from `FOLDER` or `NAME=FOLDER`.

    A folder that is called `bundle` gets the name of the run around it.

    Raises:
        UserError: none is given, a name is taken twice, or it cannot be written in a URL as it is.
    """
    if not words:
        raise UserError("`teliti serve` must have a bundle.", hint="Give the folder that `teliti train` printed.")
    folders: dict[str, Path] = {}
    for word in words:
        given, sign, rest = word.partition("=")
        folder = Path(rest if sign else word)
        resolved = folder.resolve()
        name = given if sign else (resolved.parent.name if resolved.name == "bundle" else resolved.name)
        if not name or len(name) > _LONGEST_NAME or not all(letter.isalnum() or letter in "._-" for letter in name):
            raise UserError(
                f"A bundle's name must be of letters, digits, dots, dashes and underscores, got {name!r}.",
                hint="Name it: NAME=FOLDER.",
            )
        if name in folders:
            raise UserError(f'Two bundles must not have one name, got "{name}" twice.', hint="Name them: NAME=FOLDER.")
        folders[name] = folder
    return folders
