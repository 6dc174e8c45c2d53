"""What a check can find: every kind with its title and what to do about it, and the finding as it crosses borders.

A finding names photos, or none where it speaks of the whole set. What makes one is decided elsewhere (`oddities`,
`copies`, the workflow); the manual lists the same kinds with their limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from teliti.types import Record

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
Action = Literal["exclude", "relabel"]
ACTIONS: tuple[Action, ...] = ("exclude", "relabel")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of finding.

    Attributes:
        title: What it is, a few words.
        advice: What to do, one or two sentences.
    """

    title: str
    advice: str


KINDS: dict[str, Kind] = {
    "label_file": Kind(
        "Wrong row of the label file", "Correct the named line; nothing is trained on a label file with a wrong row."
    ),
    "unlisted": Kind("Not used", "Add it to the label file or convert it, or take it away if it is not meant."),
    "empty": Kind("Empty file", "Copy the photo again from its source; an empty file is a transfer that broke off."),
    "broken": Kind("Cannot be read", "Copy or take the photo again; training leaves it out and says so."),
    "uniform": Kind(
        "Nothing on it", "Exclude it: it shows no part. A closed shutter or a missing part looks like this."
    ),
    "dark": Kind("Too dark", "Exclude it or take it again; if the line really makes such photos, keep enough of them."),
    "bright": Kind("Too bright", "Exclude it or take it again with less exposure: what is clipped cannot be won back."),
    "low_contrast": Kind(
        "Low contrast", "Look for fog, a dirty lens or a missing light; the prepare step clahe helps where all are so."
    ),
    "blurred": Kind("Blurred", "Take it again in focus; fine defects are gone from it, whatever its label says."),
    "odd_size": Kind(
        "Odd size", "Check whether it comes from another camera or was cut out; use photos of one set-up."
    ),
    "odd_shape": Kind("Odd shape", "Check whether it was cropped; the frame that fills it up may become a clue."),
    "odd_mode": Kind(
        "Odd colour mode", "Save all photos the same way: a way of saving that goes with one class is learnt instead."
    ),
    "turned": Kind(
        "Turned by its EXIF tag", "Teliti turns it upright; other programs may not. Rotate the pixels to be safe."
    ),
    "small_defect": Kind(
        "Defect too small for the input size",
        "Raise data.image_size, or cut the photo into tiles with the prepare step tile.",
    ),
    "duplicate": Kind("The same photo again", "Exclude the copies: they count a photo twice and add nothing."),
    "label_conflict": Kind(
        "Copies with different labels", "One label is wrong: look at the photo, relabel or exclude the others."
    ),
    "leak": Kind(
        "Copies on both sides of the split",
        "Move both into one part: a test photo that was learnt by heart says nothing about new parts.",
    ),
    "group_leak": Kind(
        "A group on both sides of the split", "Move the whole group into one part, or correct the group column."
    ),
    "few_photos": Kind("Class with few photos", "Collect more photos of it before trusting any number about it."),
    "imbalance": Kind(
        "Uneven classes", "Read recall and precision instead of accuracy, and collect the rare class first."
    ),
    "shortcut": Kind(
        "The label can be told without the defect",
        "Make sure that it is the defect itself: photograph all classes under one light, camera, day and folder rule.",
    ),
    "label_error": Kind(
        "Label that may be wrong", "Look at the photo: relabel it, exclude it, or leave it where the label is right."
    ),
    "outlier": Kind("Unlike all other photos", "Look whether it belongs to the set at all; exclude it if not."),
    "overlap": Kind(
        "Classes that overlap", "Write down what tells them apart, relabel by it, or join them into one class."
    ),
    "split_price": Kind(
        "What a careless split would claim", "Believe the grouped figure; photos of one group never cross a part."
    ),
    "learning_curve": Kind("What more photos would give", "Compare with what one more photo costs you."),
    "add_photo": Kind("Worth labelling next", "Label it and add it: the inspector is unsure about photos like this."),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Attributes:
        kind: A key of `KINDS`.
        severity: "error" makes numbers or the training wrong, "warning" probably hurts, "info" is worth knowing.
        message: One sentence with the numbers behind it.
        paths: Names of the photos it is about, the one to act on first; empty where it is about the set.
        score: How strong it is; what it measures depends on the kind, larger is stronger. None where there is nothing.
        action: What `fixes.csv` would say, where there is a natural answer.
        label: The label that a relabelling would give.
    """

    kind: str
    severity: Severity
    message: str
    paths: tuple[str, ...] = ()
    score: float | None = None
    action: Action | None = None
    label: str | None = None

    def to_record(self) -> Record:
        """The finding as it stands in the JSON contract."""
        record: Record = {
            "kind": self.kind,
            "severity": self.severity,
            "paths": list(self.paths),
            "message": self.message,
            "score": None if self.score is None else round(float(self.score), 6),
        }
        if self.action is not None:
            record["suggestion"] = {"action": self.action} | ({"label": self.label} if self.label is not None else {})
        return record


def sort_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Errors first; within a severity by kind in the order of `KINDS`, the strongest of a kind first."""
    kinds = list(KINDS)
    return sorted(
        findings,
        key=lambda one: (SEVERITIES.index(one.severity), kinds.index(one.kind), -(one.score or 0.0), one.paths),
    )


def summarise_findings(findings: Sequence[Finding]) -> list[Record]:
    """One record for each severity and kind, in the order of `sort_findings`: how many, and what to do.

    Returns:
        {"kind", "severity", "title", "count", "photos", "advice"}; `photos` counts names once.
    """
    together: dict[tuple[Severity, str], list[Finding]] = {}
    for one in sort_findings(findings):
        together.setdefault((one.severity, one.kind), []).append(one)
    return [
        {
            "kind": kind,
            "severity": severity,
            "title": KINDS[kind].title,
            "count": len(own),
            "photos": len({path for one in own for path in one.paths}),
            "advice": KINDS[kind].advice,
        }
        for (severity, kind), own in together.items()
    ]
