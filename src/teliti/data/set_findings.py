"""What is wrong with a set as a whole: copies, labels and splits that contradict one another, class sizes.

Nothing here looks at pixels: near-duplicates come as confirmed pairs, photos as samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from teliti.data.duplicates import DuplicatePair
from teliti.data.findings import Finding, Severity
from teliti.types import SPLITS, Refused, Sample

FEW_PHOTOS, VERY_FEW_PHOTOS = 30, 10
UNEVEN = 10.0
_WORDS = {
    "bytes": "a byte copy of", "resaved": "the same picture, saved again, as", "resized": "a resized copy of",
    "flipped": "a flipped copy of", "rotated": "a turned copy of",
}  # fmt: skip
_NOT_MEANT = ("not in the label file", "not an image file")
_NO_PHOTO_IN_IT = "none of them a photo"
_LISTED_GROUPS = 50


def find_copies(samples: Sequence[Sample], pairs: Sequence[DuplicatePair]) -> list[Finding]:
    """One finding for each pair: across a split, with two labels, or simply twice.

    Args:
        samples: (N) the photos.
        pairs: From `find_duplicates`.
    """
    return [_judge_pair(samples[pair.first], samples[pair.second], pair) for pair in pairs]


def _judge_pair(first: Sample, second: Sample, pair: DuplicatePair) -> Finding:
    paths = (second.name, first.name)
    words = f"It is {_WORDS[pair.kind]} {first.name}"
    if first.label != second.label:
        message = f'{words}, yet one is labelled "{second.label}" and the other "{first.label}".'
        if first.split != second.split:
            message += f" They also lie on both sides of the split, in {second.split} and in {first.split}."
        return Finding("label_conflict", "error", message, paths, pair.correlation)
    if first.split != second.split:
        if first.split == SPLITS[0]:  # the one to act on is the one that would be learnt by heart
            paths, words = (first.name, second.name), f"It is {_WORDS[pair.kind]} {second.name}"
            first, second = second, first
        message = f"{words}, yet it lies in {second.split} and the other in {first.split}."
        return Finding("leak", "error", message, paths, pair.correlation, "exclude")
    return Finding("duplicate", "warning", f"{words}.", paths, pair.correlation, "exclude")


def find_group_leaks(samples: Sequence[Sample]) -> list[Finding]:
    """Groups of the label file whose photos lie in more than one part of a given split."""
    parts: dict[str, Counter[str]] = {}
    examples: dict[str, dict[str, str]] = {}
    for sample in samples:
        if sample.group is not None and sample.split is not None:
            parts.setdefault(sample.group, Counter())[sample.split] += 1
            examples.setdefault(sample.group, {}).setdefault(sample.split, sample.name)
    leaking = {group: counts for group, counts in parts.items() if len(counts) > 1}
    findings = []
    for group, counts in list(leaking.items())[:_LISTED_GROUPS]:
        shares = ", ".join(f"{counts[part]} in {part}" for part in SPLITS if counts[part])
        message = f'The photos of group "{group}" lie on several sides of the split: {shares}.'
        findings.append(Finding("group_leak", "error", message, tuple(examples[group].values()), float(counts.total())))
    rest = len(leaking) - len(findings)
    if rest:
        findings.append(Finding("group_leak", "error", f"{rest:,} more groups lie on several sides of the split."))
    return findings


def find_class_sizes(samples: Sequence[Sample]) -> list[Finding]:
    """Classes with too few photos, and classes of very different size."""
    counts = Counter(sample.label for sample in samples if isinstance(sample.label, str))
    findings = []
    for label, count in sorted(counts.items(), key=lambda item: item[1]):
        if count < FEW_PHOTOS:
            least = VERY_FEW_PHOTOS if count < VERY_FEW_PHOTOS else FEW_PHOTOS
            photos = "1 photo" if count == 1 else f"{count} photos"
            message = f'Class "{label}" has {photos}, fewer than {least}.'
            severity: Severity = "error" if count < VERY_FEW_PHOTOS else "warning"
            findings.append(Finding("few_photos", severity, message, score=1.0 - count / FEW_PHOTOS))
    if len(counts) > 1:
        (most, large), (least_named, small) = counts.most_common()[0], counts.most_common()[-1]
        if large >= UNEVEN * small:
            always = large / counts.total()
            message = (
                f'"{most}" has {large:,} photos and "{least_named}" {small:,}: an inspector that always says '
                f'"{most}" would be right {always:.1%} of the time.'
            )
            findings.append(Finding("imbalance", "warning", message, score=large / small))
    return findings


def find_unused(refused: Sequence[Refused]) -> list[Finding]:
    """Files that were given and cannot be used: empty, broken, or not photos at all."""
    findings = []
    for one in refused:
        if one.reason == "empty file":
            findings.append(Finding("empty", "error", "The file is empty.", (one.name,), action="exclude"))
        elif one.reason.startswith(_NOT_MEANT) or one.reason.endswith(_NO_PHOTO_IN_IT):
            findings.append(Finding("unlisted", "info", f"It is not used: {one.reason}.", (one.name,)))
        else:
            message = f"It cannot be read: {one.reason}."
            findings.append(Finding("broken", "error", message, (one.name,), action="exclude"))
    return findings
