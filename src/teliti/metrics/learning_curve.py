"""How the error falls with more training photos, and what a power law says about more of them.

err(n) = a * n^-b + c with a, b, c >= 0: the shape that errors of learners follow over a wide range (C. Cortes and
others, "Learning curves: asymptotic values and rate of convergence", 1993; J. Hestness and others, "Deep learning
scaling is predictable, empirically", 2017). Beyond twice the measured size nothing is promised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from teliti.errors import UserError

_EXPONENTS = np.geomspace(0.05, 2.0, 60)
_DRAWS = 300
_FEWEST_SIZES = 3

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """err(n) = amplitude * n^-exponent + floor.

    Attributes:
        amplitude: At least 0.
        exponent: How fast it falls.
        floor: What no number of photos takes away, at least 0.
    """

    amplitude: float
    exponent: float
    floor: float

    def error(self, size: float) -> float:
        """The error with so many training photos."""
        return float(self.amplitude * size**-self.exponent + self.floor)


def fit_power_law(sizes: Values, errors: Values) -> PowerLaw:
    """Least squares over a fixed range of exponents; the other two are solved exactly and never negative.

    Args:
        sizes: (M,) training photos, above 0, at least three different ones.
        errors: (M,) error of each, at least 0; repeats of one size stand as further entries.

    Raises:
        UserError: fewer than three sizes.
    """
    if len(np.unique(sizes)) < _FEWEST_SIZES:
        raise UserError(
            f"A learning curve must have at least 3 sizes, got {len(np.unique(sizes))}.", hint="Measure more sizes."
        )
    best: tuple[float, PowerLaw] | None = None
    for exponent in _EXPONENTS.tolist():
        law = _solve(sizes**-exponent, errors, exponent)
        loss = float(((law.amplitude * sizes**-exponent + law.floor - errors) ** 2).sum())
        if best is None or loss < best[0] - 1e-15:
            best = (loss, law)
    if best is None:
        raise RuntimeError("there are exponents to try")
    return best[1]


def extrapolate(sizes: Values, errors: Values, *, to: float, seed: int) -> tuple[float, tuple[float, float]]:
    """The error at a larger size, and the 95 % range that resampled repeats of every size give.

    Args:
        sizes: (M,) as for `fit_power_law`, several entries for each size.
        errors: (M,).
        to: Training photos.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    places = [np.flatnonzero(sizes == size) for size in np.unique(sizes)]
    values = []
    for _ in range(_DRAWS):
        drawn = np.concatenate([rng.choice(own, len(own)) for own in places])
        values.append(fit_power_law(sizes[drawn], errors[drawn]).error(to))
    low, high = np.quantile(values, [0.025, 0.975])
    return fit_power_law(sizes, errors).error(to), (float(low), float(high))


def _solve(powers: Values, errors: Values, exponent: float) -> PowerLaw:
    """Amplitude and floor for one exponent: the better of the free solution and those on the borders."""
    centred = powers - powers.mean()
    amplitude = max(0.0, float(centred @ errors / (centred @ centred)))
    floor = float(errors.mean() - amplitude * powers.mean())
    if floor < 0.0:
        amplitude, floor = max(0.0, float(powers @ errors / (powers @ powers))), 0.0
    return PowerLaw(amplitude, exponent, floor)
