"""What a policy search found: one finding a candidate, the policy that follows from them, and both in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teliti import __version__
from teliti.runtime import installed_versions
from teliti.transforms.augment import AugmentChain
from teliti.transforms.policy_file import Measured, Policy, PolicyEntry
from teliti.types import Record
from teliti.workflow.policies.measures import Gain
from teliti.workflow.policies.photos import TrialPhotos, entry_words

LEVEL = 0.05
_ENTRY = "augment"


@dataclass(frozen=True)
class Candidate:
    """One entry that is tried."""

    entry: Record
    chain: AugmentChain

    @property
    def words(self) -> str:
        """On one line."""
        return entry_words(self.entry)


@dataclass(frozen=True)
class Finding:
    """What was measured of one candidate.

    Attributes:
        candidate: What was tried.
        stage: "confirmed" (measured on the second half), "round 2" (out of the search there), "not tried" (no time
            left), or "no effect" (it leaves these photos as they are).
        gain: None where it was not tried.
        affinity: See `ViewTrial.affinity`.
        diversity: See `ViewTrial.diversity`.
        p_adjusted: Holm's, over all that were confirmed.
        seconds: What the confirmation took.
    """

    candidate: Candidate
    stage: str
    gain: Gain | None = None
    affinity: float | None = None
    diversity: float | None = None
    p_adjusted: float | None = None
    seconds: float = 0.0

    @property
    def is_shown(self) -> bool:
        """True when the gain is above zero by more than noise."""
        return self.gain is not None and self.gain.loss.mean > 0.0 and (self.p_adjusted or 1.0) < LEVEL

    def to_record(self) -> Record:
        """One row of the search's record."""
        gain = self.gain
        interval = None if gain is None or gain.loss.interval is None else list(gain.loss.interval)
        return {
            "factors": {_ENTRY: self.candidate.words},
            "entry": self.candidate.entry,
            "stage": self.stage,
            "gain": None if gain is None else gain.loss.mean,
            "interval": interval,
            "accuracy_gain": None if gain is None else gain.accuracy,
            "p_adjusted": self.p_adjusted,
            "status": "shown" if self.is_shown else "unproven",
            "repeats": 0 if gain is None else gain.repeats,
            "photos": 0 if gain is None else gain.photos,
            "affinity": self.affinity,
            "diversity": self.diversity,
            "seconds": round(self.seconds, 2),
        }


def policy_of(
    photos: TrialPhotos, confirmed: Sequence[Finding], whole: Finding | None, *, name: str, views: int
) -> Policy:
    """The policy that the rule of `policy_search` makes of what was confirmed.

    Args:
        photos: What it was measured on.
        confirmed: The largest gain first.
        whole: All shown entries in one chain, where there are several.
        name: Of the policy.
        views: Of each photo.
    """
    kept = [one for one in confirmed if one.is_shown]
    if not kept:
        kept = [one for one in confirmed[:1] if one.gain is not None and one.gain.loss.mean > 0.0]
    entries = [PolicyEntry(**one.candidate.entry, measured=_measured(one)) for one in kept]
    facts = photos.setup.backbone.facts
    made_from: dict[str, str | int | float | bool] = {
        "source": photos.photos.catalog.source,
        "photos": len(photos.rows),
        "digest": photos.photos.digest,
        "seed": photos.seed,
        "views": views,
        "criterion": criterion_of(is_numbers=photos.photos.catalog.task == "regression"),
        "head": photos.ground.model.head,
        "backbone": str(facts["backbone"]),
        "image_size": "x".join(str(side) for side in facts["image_size"]),
        "teliti": __version__,
        "torchvision": installed_versions(("torchvision",)).get("torchvision", "-"),
    }
    return Policy(
        name=name, made_from=made_from, measured=None if whole is None else _measured(whole), augment=tuple(entries)
    )


def _measured(finding: Finding) -> Measured:
    gain = finding.gain
    if gain is None:
        raise RuntimeError("what is kept was measured")
    return Measured(
        gain=gain.loss.mean, interval=gain.loss.interval, accuracy_gain=gain.accuracy,
        status="shown" if finding.is_shown else "unproven", repeats=gain.repeats, photos=gain.photos,
        affinity=finding.affinity, diversity=finding.diversity,
    )  # fmt: skip


def criterion_of(*, is_numbers: bool) -> str:
    """What a gain is counted in."""
    return "squared error over variance" if is_numbers else "log loss"


def sentences_of(photos: TrialPhotos, confirmed: Sequence[Finding], policy: Policy, *, complete: bool) -> list[str]:
    """What was found, in words; the last ones say what it was found on."""
    said = []
    for one in confirmed:
        if one.gain is None:
            continue
        interval = one.gain.loss.interval
        between = "" if interval is None else f" ({interval[0]:+.4f} to {interval[1]:+.4f})"
        verdict = "helps" if one.is_shown else "is inside the noise"
        said.append(f"{one.candidate.words}: gain {one.gain.loss.mean:+.4f}{between}, {verdict}.")
    if not policy.augment:
        said.append("Nothing helped: no augmentation that was measured has a positive gain. The policy is empty.")
    elif policy.augment[0].measured is not None and policy.augment[0].measured.status == "unproven":
        said.append(
            "Nothing is shown to help beyond noise. The policy holds the best guess, marked as unproven: "
            f"{entry_words(policy.steps[0])}."
        )
    if not complete:
        said.append("The time budget ended the search early; a longer --budget tries more.")
    return [*said, photos.sentence]
