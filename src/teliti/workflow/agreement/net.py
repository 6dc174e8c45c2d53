"""What a bundle says of the photos that people judged, in their own words, so that it can be compared with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from teliti.data.beside import climb, levels_up
from teliti.data.origins import FileOrigin
from teliti.errors import PhotoRefused, UserError
from teliti.metrics.decision import PASS, REJECT, Decision
from teliti.predictor import Predictor
from teliti.registry import closest
from teliti.types import Prediction, Record, Refused, Reporter, Sample


@dataclass(frozen=True, slots=True)
class NetAnswers:
    """The judgements of a net.

    Attributes:
        labels: By photo.
        undecided: How many photos it leaves to a person, where people say pass and reject.
        unread: Photos that it could not judge.
    """

    labels: dict[str, str]
    undecided: int
    unread: tuple[Refused, ...]

    def to_record(self, bundle: str) -> Record:
        """{"bundle", "judged", "undecided", "unread": [{"path", "reason"}]}."""
        return {
            "bundle": bundle,
            "judged": len(self.labels),
            "undecided": self.undecided,
            "unread": [{"path": one.name, "reason": one.reason} for one in self.unread],
        }


def ask_net(
    bundle: str, paths: Sequence[str], *, said: Collection[str], photos: Path, reporter: Reporter
) -> NetAnswers:
    """Let a bundle judge the photos of a file of judgements.

    Args:
        bundle: Its folder.
        paths: As the file names the photos.
        said: Every label that a person gave.
        photos: The folder that the paths start from.
        reporter: Told how far it is.

    Raises:
        BundleError: missing or damaged.
        UserError: labels that the bundle does not know, a bundle without classes, or none of the photos is there.
    """
    predictor = Predictor.open(bundle)
    word_of = _choose_words(predictor.bundle.answers, said, bundle=bundle)
    root = photos.resolve()
    beside = str(climb(root, levels_up(predictor.bundle.chain.beside_patterns)))
    samples = [Sample(path, FileOrigin(path, str(root), beside)) for path in paths]
    labels: dict[str, str] = {}
    unread, undecided = list[Refused](), 0
    for index, answer in predictor.predict_samples(samples, reporter=reporter):
        if isinstance(answer, PhotoRefused):
            unread.append(Refused(paths[index], answer.reason))
        elif (word := word_of(answer)) is None:
            undecided += 1
        else:
            labels[paths[index]] = word
    if len(unread) == len(paths):
        raise UserError(
            f'The photos must lie below "{photos}", got none that can be read: "{paths[0]}" is {unread[0].reason}.',
            hint="Name the folder that the paths start from with --photos.",
        )
    return NetAnswers(labels, undecided, tuple(unread))


def _choose_words(answers: object, said: Collection[str], *, bundle: str) -> Callable[[Prediction], str | None]:
    """Whether people and net are compared by classes or by verdicts; the word of a prediction, None for a review."""
    if not isinstance(answers, Decision):
        raise UserError(
            f'"{bundle}" must give each photo one class to be compared with people, got one for labels or numbers.',
            hint="Write its answers into a column of the file, and name that with --net.",
        )
    if set(said) <= set(answers.classes):
        return lambda one: one.label
    verdicts = (PASS, REJECT) if answers.has_verdicts else ()
    if set(said) <= set(verdicts):
        return lambda one: one.verdict if one.verdict in verdicts else None
    known = [*answers.classes, *verdicts]
    other = next(label for label in sorted(said) if label not in answers.classes)
    near = closest(other, known)
    raise UserError(
        f'The labels must be what "{bundle}" says, {", ".join(answers.classes)}'
        f'{" or pass and reject" if verdicts else ""}, got "{other}".',
        hint=f'Did you mean "{near}"?' if near else "Write the same names into the file.",
    )
