"""Photos that stand out: limits that hold for any set, and limits that follow from the set itself.

Absolute limits say what no inspection can use. Relative ones compare a photo with the others of its set: it is odd
when it lies more than `FAR` robust deviations from the median (median absolute deviation; F. Hampel, "The influence
curve and its role in robust estimation", 1974) and also further than a gap that the eye would notice. Where more than
`MOST_ODD` of a set stand apart they are a second population, not slips: they become one finding about the set.

The manual (check) repeats every limit with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.data.findings import Finding, Severity
from teliti.data.health_table import HealthTable

FAR = 6.0  # robust deviations; of a normal distribution fewer than 1 in 100 million lie so far out
MOST_ODD = 0.05  # share of the set
FEWEST = 12  # photos from which a set has a distribution
UNIFORM_SHARE = 0.98  # of the pixels within 2 levels of one level
UNIFORM_SPREAD = 4.0  # grey levels between the 1 % and the 99 % quantile: rounding and JPEG noise
LOW_SPREAD = 12.0  # grey levels: a twentieth of the range
DARK_HIGH = 32.0  # grey level of the 99 % quantile: an eighth of the range is used
BRIGHT_LOW = 223.0  # grey level of the 1 % quantile
BLURRED = 0.85
SMALLEST_SIDE = 32  # pixels: backbones shrink a photo 32 times
LONGEST_ASPECT = 4.0  # the frame would be three quarters padding
COLOURFUL = 12.0  # mean difference of channels, grey levels; white balance alone stays below
_LONGEST_LOG = math.log2(LONGEST_ASPECT)
RARE_MODE = 0.05  # share of the set
_MAD = 1.4826  # of a normal distribution the deviation is so many median absolute deviations
_SHOWN = 5

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class _Measure:
    """One number of a photo and when it is odd.

    Attributes:
        kind: Of the finding.
        of: The number of every photo, (N,) float64.
        breaks: (N,) bool from it: which photos break the absolute limit; None: there is no such limit.
        absolute: The sentence for that, with {value}.
        side: -1 where only small numbers are odd in a set, +1 large ones, 0 both.
        gap: From the median that is not noticed.
        relative: The sentence for the other, with {value} and {median}.
    """

    kind: str
    of: Callable[[HealthTable], Values]
    breaks: Callable[[Values], Flags] | None
    absolute: str
    side: int
    gap: float
    relative: str
    is_log: bool = False  # of base 2; sentences show the plain number


_MEASURES = (
    _Measure(
        "dark", lambda table: table.column("high"), lambda value: value < DARK_HIGH,
        f"Nothing on it is brighter than {{value:.0f}} of 255 (limit {DARK_HIGH:.0f}).", 0, math.inf, "",
    ),
    _Measure(
        "dark", lambda table: table.column("mean"), None, "", -1, 32.0,
        "Its mean grey level is {value:.0f}, far below the set's {median:.0f}.",
    ),
    _Measure(
        "bright", lambda table: table.column("low"), lambda value: value > BRIGHT_LOW,
        f"Nothing on it is darker than {{value:.0f}} of 255 (limit {BRIGHT_LOW:.0f}).", 0, math.inf, "",
    ),
    _Measure(
        "bright", lambda table: table.column("mean"), None, "", 1, 32.0,
        "Its mean grey level is {value:.0f}, far above the set's {median:.0f}.",
    ),
    _Measure(
        "low_contrast", lambda table: table.column("high") - table.column("low"), lambda value: value < LOW_SPREAD,
        f"Its grey levels span {{value:.0f}} of 255 (limit {LOW_SPREAD:.0f}).", 0, math.inf, "",
    ),
    _Measure(
        "low_contrast", lambda table: np.log2(np.maximum(table.column("deviation"), 0.25)), None, "", -1, 1.0,
        "Its grey levels deviate by {value:.1f}, far below the set's {median:.1f}.", is_log=True,
    ),
    _Measure(
        "blurred", lambda table: table.column("blur"), lambda value: value > BLURRED,
        f"Its blur is {{value:.2f}} (limit {BLURRED:g}; 0 is sharp).", 1, 0.1,
        "Its blur is {value:.2f}, far above the set's {median:.2f} (0 is sharp).",
    ),
    _Measure(
        "odd_size", lambda table: np.log2(np.minimum(table.column("height"), table.column("width"))),
        lambda value: value < math.log2(SMALLEST_SIDE),
        f"Its shorter side is below {SMALLEST_SIDE} pixels.", 0, 1.0,
        "Its shorter side is {value:.0f} pixels, far from the set's {median:.0f}.", is_log=True,
    ),
    _Measure(
        "odd_shape", lambda table: np.log2(table.column("width") / table.column("height")),
        lambda value: np.abs(value) > _LONGEST_LOG,
        f"One side is more than {LONGEST_ASPECT:.0f} times the other.", 0, 0.5,
        "It is {value:.2f} times as wide as high, far from the set's {median:.2f}.", is_log=True,
    ),
)  # fmt: skip


def find_odd_photos(names: Sequence[str], healths: HealthTable) -> list[Finding]:
    """Every photo that breaks a limit or stands apart from its set, at most once for each kind.

    A photo without anything on it is not also dark or blurred.

    Args:
        names: (N) of the photos.
        healths: (N) their numbers.
    """
    empty = _are_uniform(healths)
    findings = _uniform(names, healths, np.flatnonzero(empty))
    if findings:
        kept = np.flatnonzero(~empty)
        names, healths = [names[at] for at in kept.tolist()], healths.only(kept)
    known = set[tuple[str, str]]()
    for measure in _MEASURES:
        for one in _judge(measure, names, healths):
            place = (one.kind, one.paths[0] if len(one.paths) == 1 else "")
            if place not in known:
                known.add(place)
                findings.append(one)
    return [*findings, *_odd_modes(names, healths), *_odd_colours(names, healths), *_turned(names, healths)]


def robust_distances(values: Values, *, gap: float) -> Values:
    """(N,) signed distances from the median in robust deviations, never smaller than what `gap` allows.

    Args:
        values: (N,) float, NaN where unknown; these are at distance 0.
        gap: Distance from the median, in the unit of the values, that is not yet `FAR`.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return np.zeros_like(values)
    median = float(np.median(known))
    deviation = max(_MAD * float(np.median(np.abs(known - median))), gap / FAR)
    return np.asarray(np.nan_to_num((values - median) / deviation))


def _are_uniform(healths: HealthTable) -> Flags:
    """(N,) True for a photo without anything on it."""
    spans = healths.column("high") - healths.column("low")
    return np.asarray((healths.column("common") >= UNIFORM_SHARE) | (spans <= UNIFORM_SPREAD))


def _uniform(names: Sequence[str], healths: HealthTable, places: NDArray[np.intp]) -> list[Finding]:
    shares, spans = healths.column("common"), healths.column("high") - healths.column("low")
    findings = []
    for at in places.tolist():
        message = f"{shares[at]:.0%} of its pixels have one grey level; 98 % of them span {spans[at]:.0f}."
        findings.append(Finding("uniform", "error", message, (names[at],), float(shares[at]), "exclude"))
    return findings


def _judge(measure: _Measure, names: Sequence[str], healths: HealthTable) -> Iterator[Finding]:
    values = measure.of(healths)
    shown = np.exp2(values) if measure.is_log else values
    broken = np.zeros(len(values), dtype=bool) if measure.breaks is None else measure.breaks(values)
    many = broken.sum() > len(values) / 2  # this is how the set is, not a slip of single photos
    if many:
        yield _whole_set(
            measure.kind,
            [names[at] for at in np.flatnonzero(broken).tolist()],
            photos=len(names),
            what="break the limit",
        )
    for at in np.flatnonzero(broken).tolist() if not many else ():
        yield Finding(
            measure.kind, "warning", measure.absolute.format(value=shown[at]), (names[at],), float(abs(values[at]))
        )
    if not math.isfinite(measure.gap) or len(values) < FEWEST:
        return
    distances = robust_distances(values, gap=measure.gap)
    apart = np.abs(distances) if measure.side == 0 else measure.side * distances
    odd = np.flatnonzero((apart > FAR) & ~broken).tolist()
    if len(odd) > MOST_ODD * len(values):
        yield _whole_set(measure.kind, [names[at] for at in odd], photos=len(names), what="stand apart from the others")
        return
    median = float(np.nanmedian(shown))
    for at in odd:
        message = measure.relative.format(value=shown[at], median=median)
        yield Finding(measure.kind, "warning", message, (names[at],), float(apart[at]))


def _whole_set(kind: str, own: Sequence[str], *, photos: int, what: str) -> Finding:
    message = f"{len(own):,} of {photos:,} photos {what}, for instance {', '.join(own[:_SHOWN])}."
    return Finding(kind, "info", message, (), len(own) / photos)


def _odd_modes(names: Sequence[str], healths: HealthTable) -> list[Finding]:
    """Photos saved in a way that is rare in the set."""
    modes, of_photo = healths.words("mode")
    if not len(healths):
        return []
    counts = np.bincount(of_photo, minlength=len(modes))
    usual, most = modes[int(counts.argmax())], int(counts.max())
    found = []
    for at in np.flatnonzero((counts <= RARE_MODE * len(healths))[of_photo]).tolist():
        own = of_photo[at]
        message = f'It is stored as "{modes[own]}", {most:,} of {len(healths):,} photos as "{usual}".'
        found.append(Finding("odd_mode", "info", message, (names[at],), 1.0 - int(counts[own]) / len(healths)))
    return found


def _odd_colours(names: Sequence[str], healths: HealthTable) -> list[Finding]:
    """Coloured photos in a grey set, or grey ones in a coloured set, whatever their files say."""
    colours = healths.column("colour")
    coloured, plain = colours > COLOURFUL, colours < 1.0
    if len(healths) < FEWEST:
        return []
    pairs: list[tuple[Flags, str, Severity]] = []
    if plain.mean() >= 1.0 - RARE_MODE:
        pairs.append((coloured, "It has colours, the other photos are grey.", "warning"))
    if coloured.mean() >= 1.0 - RARE_MODE:
        pairs.append((plain, "It is grey, the other photos have colours.", "warning"))
    return [
        Finding("odd_mode", severity, message, (names[at],), float(colours[at]))
        for odd, message, severity in pairs
        for at in np.flatnonzero(odd).tolist()
    ]


def _turned(names: Sequence[str], healths: HealthTable) -> list[Finding]:
    turned = [names[at] for at in np.flatnonzero(healths.column("orientation") != 1).tolist()]
    if len(turned) > MOST_ODD * len(names) and len(names) >= FEWEST:
        return [_whole_set("turned", turned, photos=len(names), what="are turned by their EXIF tag")]
    return [Finding("turned", "info", "Its EXIF tag says that it is not stored upright.", (name,)) for name in turned]
