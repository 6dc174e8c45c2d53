"""Quality gates: `--fail-on recall<0.95` for scripts, which want an exit code and no reading."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teliti.errors import UserError
from teliti.registry import closest

if TYPE_CHECKING:
    from teliti.types import Record

_PATTERN = re.compile(r"\s*([a-z0-9_]+)\s*([<>])\s*([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)\s*")
_FAILS: dict[str, Callable[[float, float], bool]] = {"<": operator.lt, ">": operator.gt}
UNPROVEN, CHEATING = "unproven", "cheating"
_EXAMPLE = 'For instance --fail-on "recall<0.95" or --fail-on "log_loss>0.4".'


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition under which a measure fails the run.

    Attributes:
        key: Name of a measure in the record.
        sign: `<` fails below the limit, `>` above it.
        limit: The limit itself does not fail.
    """

    key: str
    sign: str
    limit: float

    def verdict(self, measures: Record) -> str | None:
        """Why the gate is not met, or None when it is. An undefined measure does not meet it.

        Raises:
            UserError: no such measure.
        """
        known = [name for name, value in measures.items() if value is None or isinstance(value, (int, float))]
        if self.key not in known:
            near = closest(self.key, known)
            suggestion = f'Did you mean "{near}"?' if near else _EXAMPLE
            raise UserError(f"--fail-on must name one of {', '.join(known)}, got {self.key!r}.", hint=suggestion)
        value = measures[self.key]
        if value is None:
            return (
                f"{self.key} is undefined on these photos, so {self.key}{self.sign}{self.limit:g} cannot be ruled out."
            )
        failed = _FAILS[self.sign](value, self.limit)
        return (
            f"{self.key} is {value:.4g}, which fails the gate {self.key}{self.sign}{self.limit:g}." if failed else None
        )


@dataclass(frozen=True, slots=True)
class ProofGate:
    """Fails the run where what [decide] wanted proven was not."""

    def verdict(self, threshold: Record) -> str | None:
        """Why the gate is not met, or None when it is.

        Args:
            threshold: The record's `threshold`.

        Raises:
            UserError: nothing was to be proven.
        """
        proven = threshold.get("proven")
        if proven is None:
            raise UserError(
                "--fail-on unproven needs a threshold that something was to be proven of, and here nothing was.",
                hint="Train with --set decide.max_miss_rate=0.02 --set decide.confidence=0.95, for instance.",
            )
        if proven:
            return None
        short = next(row for row in threshold["promises"] if not row["held"])
        return (
            f"a rate of at most {short['rate']:g} could not be shown with {short['photos']} photos, "
            f"{short['needed']} are needed: the gate unproven is not met."
        )


@dataclass(frozen=True, slots=True)
class EvidenceGate:
    """Fails the run where the background alone tells the classes apart."""

    def verdict(self, evidence: Record | None) -> str | None:
        """Why the gate is not met, or None when it is. Evidence that could not be judged does not meet it.

        Args:
            evidence: The record's `evidence`.

        Raises:
            UserError: it was not looked for.
        """
        if evidence is None:
            raise UserError(
                "--fail-on cheating must stand beside --evidence, got it alone.",
                hint='For instance --evidence otsu, or --evidence "{stem}_mask.png"; with train --set '
                "data.part_mask=otsu.",
            )
        if evidence["status"] in {"clean", "hidden"}:
            return None
        return f"{evidence['sentence'].removesuffix('.')}: the gate cheating is not met."


def reasons_unmet(gates: list[Gate | ProofGate | EvidenceGate], record: Record) -> list[str]:
    """Why gates are not met, one sentence each.

    Args:
        gates: From `parse_gate`.
        record: As the workflow's `train` or `evaluate` returns it.

    Raises:
        UserError: a gate that does not fit the record.
    """
    found = [gate.verdict(_judged_by(gate, record)) for gate in gates]
    return [reason for reason in found if reason is not None]


def _judged_by(gate: Gate | ProofGate | EvidenceGate, record: Record) -> Any:
    if isinstance(gate, EvidenceGate):
        return record.get("evidence")
    return record["threshold"] if isinstance(gate, ProofGate) else record["test"]


def parse_gate(text: str) -> Gate | ProofGate | EvidenceGate:
    """A gate from text such as `recall<0.95`, or from `unproven` or `cheating`.

    Raises:
        UserError: not of that form.
    """
    if text.strip() == UNPROVEN:
        return ProofGate()
    if text.strip() == CHEATING:
        return EvidenceGate()
    match = _PATTERN.fullmatch(text)
    try:
        if match:
            return Gate(match[1], match[2], float(match[3]))
    except ValueError:
        pass
    raise UserError(f"--fail-on must look like MEASURE<VALUE or MEASURE>VALUE, got {text!r}.", hint=_EXAMPLE)
