"""Numbers as people read them: shares, intervals, counts, times, sizes."""

from __future__ import annotations

from collections.abc import Sequence

_MISSING = "-"
_KIBIBYTE = 1024.0
_HUGE = 1e7


def format_number(value: float | None, *, digits: int = 3, in_units: bool = False) -> str:
    """A measure with a fixed number of decimals; a dash where it is undefined.

    Args:
        value: The measure.
        digits: Behind the point.
        in_units: It is in the labels' units, where any size is usual: tiny and huge ones are written as powers.
    """
    if value is None:
        return _MISSING
    if in_units and value and not 10.0**-digits <= abs(value) < _HUGE:
        return f"{value:.{digits}g}"
    return f"{value:.{digits}f}"


def format_interval(bounds: Sequence[float] | None, *, digits: int = 3, in_units: bool = False) -> str:
    """`low to high`, each as `format_number` writes it; nothing where there is no interval."""
    if bounds is None:
        return ""
    low, high = bounds
    shown = (format_number(bound, digits=digits, in_units=in_units) for bound in (low, high))
    return " to ".join(shown)


def is_in_units(measure: str) -> bool:
    """True for an error in the labels' units; shares and R2 have none."""
    return measure in {"mae", "rmse"}


def format_count(count: int) -> str:
    """A whole number with its thousands set apart."""
    return f"{count:,}"


def format_photos(count: int) -> str:
    """`1 photo`, `2,624 photos`."""
    return f"{format_count(count)} {'photo' if count == 1 else 'photos'}"


def format_seconds(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def format_measure(measure: str) -> str:
    """A measure's name for people: `balanced_accuracy` is "balanced accuracy", `roc_auc` "ROC AUC"."""
    return {"roc_auc": "ROC AUC"}.get(measure, measure.replace("_", " "))


def format_bytes(size: float) -> str:
    """`512 B`, `1.4 MiB`."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    step = 0
    while size >= _KIBIBYTE and step < len(units) - 1:
        size /= _KIBIBYTE
        step += 1
    return f"{size:.0f} B" if step == 0 else f"{size:.1f} {units[step]}"
