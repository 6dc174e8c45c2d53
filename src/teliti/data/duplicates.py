"""Near-duplicates: byte copies and re-saved, resized, flipped or turned versions of one photo.

A perceptual hash only proposes (signs of the 64 lowest cosine frequencies, Hamming distance; C. Zauner,
"Implementation and benchmarking of perceptual image hash functions", 2010). Aligned pixels confirm, by two
independent proofs. First, grey values: a copy keeps the brightness of every region to about one level, while two
parts under one lamp, or two exposures of one part, do not. Second, detail: it must correlate after what many
photos of the set share - a frame, bus bars, a fixture - has been taken out, because a shared layout proves nothing.

Not found: crops, shifts, changed brightness, and copies whose thumbnail shows nothing but the layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from teliti.data.fingerprints import THUMBNAIL_SIDE, Fingerprint, HasDigests

DuplicateKind = Literal["bytes", "resaved", "resized", "flipped", "rotated"]

MIN_CORRELATION = 0.87
MAX_DIFFERENCE = 4.5  # grey levels, root mean square over the thumbnail
MAX_REGION_DIFFERENCE = 1.6  # grey levels between the means of any of the 64 regions; JPEG and resizing reach 1.3
HASH_RADIUS = 14  # of 64 bits
_REGIONS = 8  # a side
_REGION_PIXELS = (THUMBNAIL_SIDE // _REGIONS) ** 2
_FREQUENCIES = 8  # a side
_DETAIL_SIGMA = 4.0  # pixels of the thumbnail; slower changes are lighting
_LEAST_DETAIL = 0.1  # grey levels, root mean square; less is rounding
_ASPECT_TOLERANCE = 0.03  # of the logarithm of height / width: rounding of small sizes
_LISTED_COPIES = 32  # of one file, pair by pair; further ones are listed with the first only
_LAYOUT_SAMPLE = 320
_FEWEST_FOR_LAYOUT = 20
_PHOTOS_PER_DIRECTION = 20
_MOST_DIRECTIONS = 4
_SAME_PICTURE = 1.2  # grey levels, root mean square
_ROWS, _COLUMNS, _PAIRS = 256, 1024, 2048  # block sizes that bound the memory
_DIGEST_WORDS = 4  # of 64 bits

Floats = NDArray[np.float32]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two photos that show the same picture.

    Attributes:
        first: Index of the earlier photo.
        second: Index of the later one.
        kind: How the second differs from the first.
        correlation: Of the aligned details, in [MIN_CORRELATION, 1].
    """

    first: int
    second: int
    kind: DuplicateKind
    correlation: float


@dataclass(frozen=True, slots=True)
class _Symmetry:
    """One of the eight ways to lay a square on itself: transpose, then reverse rows, then columns."""

    transposed: bool
    rows: bool
    columns: bool

    def of_images(self, images: NDArray[Scalar]) -> NDArray[Scalar]:
        """(M, S, S) pictures, moved."""
        moved = images.swapaxes(1, 2) if self.transposed else images
        return moved[:, :: -1 if self.rows else 1, :: -1 if self.columns else 1]

    def of_spectra(self, spectra: Floats) -> Floats:
        """(M, 8, 8) cosine coefficients of the moved pictures: reversing an axis negates its odd frequencies."""
        moved = spectra.swapaxes(1, 2) if self.transposed else spectra
        odd = np.where(np.arange(1, _FREQUENCIES + 1) % 2 == 1, -1.0, 1.0).astype(np.float32)
        moved = moved * odd[:, None] if self.rows else moved
        return moved * odd[None, :] if self.columns else moved

    def kind(self, first: Fingerprint, second: Fingerprint) -> DuplicateKind:
        """What to call the change from one photo to the other."""
        if self.transposed or (self.rows and self.columns):
            return "rotated"
        if self.rows or self.columns:
            return "flipped"
        return "resized" if (first.height, first.width) != (second.height, second.width) else "resaved"


_SYMMETRIES = tuple(_Symmetry(t, r, c) for t in (False, True) for r in (False, True) for c in (False, True))


def find_duplicates(fingerprints: Sequence[Fingerprint]) -> list[DuplicatePair]:
    """All confirmed pairs, by index.

    Whether two photos are a pair depends on the others only through the layout that the set shares.

    Cost: for every two photos of equal mean brightness (within 1.6 levels) eight comparisons of 64 bits, for each
    proposal 64 differences, for what remains 4,096 products. Memory: some 250 bytes a photo beside the fingerprints, a
    few blocks, the pairs found.

    Args:
        fingerprints: (N) of the photos of one set.

    Returns:
        Pairs with first < second, each two photos at most once, sorted. Of more than 32 copies of one file only the
        pairs with the first are listed.
    """
    distinct, copies = _tell_copies_apart(fingerprints)
    found = {pair: DuplicatePair(*pair, "bytes", 1.0) for same in copies.values() for pair in _copies_of_one(same)}
    for near in _find_near(fingerprints, distinct):
        first, second = int(distinct[near.first]), int(distinct[near.second])
        for i in copies.get(first, [first])[:_LISTED_COPIES]:
            for j in copies.get(second, [second])[:_LISTED_COPIES]:
                found[min(i, j), max(i, j)] = DuplicatePair(min(i, j), max(i, j), near.kind, near.correlation)
    return [found[key] for key in sorted(found)]


def group_pairs(count: int, pairs: Sequence[DuplicatePair]) -> list[list[int]]:
    """Groups of photos that must stay together, largest correlation first.

    Byte copies count as one photo. Two groups merge only when at least half of the pairs between their photos are
    confirmed, so that a chain of neighbours does not pull strangers together.

    Args:
        count: Number of photos.
        pairs: From `find_duplicates`.

    Returns:
        Every photo in exactly one sorted group; groups in the order of their first photo.
    """
    first_copy = list(range(count))
    for first, second in sorted((pair.first, pair.second) for pair in pairs if pair.kind == "bytes"):
        first_copy[second] = min(first_copy[second], first_copy[first])
    near: dict[tuple[int, int], float] = {}
    for pair in pairs:
        a, b = sorted((first_copy[pair.first], first_copy[pair.second]))
        if a != b:
            near[a, b] = max(near.get((a, b), 0.0), pair.correlation)
    home = list(range(count))
    members = {index: [index] for index in range(count) if first_copy[index] == index}
    for first, second in sorted(near, key=lambda key: (-near[key], key)):
        keep, drop = sorted((home[first], home[second]))
        if keep == drop:
            continue
        between = [(min(i, j), max(i, j)) in near for i in members[keep] for j in members[drop]]
        if 2 * sum(between) >= len(between):
            for index in members[drop]:
                home[index] = keep
            members[keep] += members.pop(drop)
    groups: dict[int, list[int]] = {}
    for index in range(count):
        groups.setdefault(home[first_copy[index]], []).append(index)
    return list(groups.values())


def _tell_copies_apart(fingerprints: Sequence[Fingerprint]) -> tuple[NDArray[np.intp], dict[int, list[int]]]:
    """(M,) the first photo of each different file in rising order; and all photos of a file that is there again."""
    if not len(fingerprints):
        return np.zeros(0, dtype=np.intp), {}
    digest_of = _digests_of(fingerprints)
    digests = np.empty((len(fingerprints), _DIGEST_WORDS), dtype=np.uint64)
    for index in range(len(fingerprints)):
        digests[index] = np.frombuffer(digest_of(index), dtype=np.uint64)
    order = np.lexsort(digests.T)  # keeps the order of equal ones
    starts = np.flatnonzero(np.append(True, (digests[order[1:]] != digests[order[:-1]]).any(axis=1)))
    ends = np.append(starts[1:], len(order))
    again = np.flatnonzero(ends - starts > 1)
    groups = [order[starts[place] : ends[place]].tolist() for place in again.tolist()]
    return np.sort(order[starts]), {group[0]: group for group in groups}


def _digests_of(fingerprints: Sequence[Fingerprint]) -> Callable[[int], bytes]:
    """Digest by index, without the thumbnail where that lies in a file."""
    return fingerprints.digest if isinstance(fingerprints, HasDigests) else lambda index: fingerprints[index].digest


def _copies_of_one(same: Sequence[int]) -> Iterator[tuple[int, int]]:
    for place, first in enumerate(same if len(same) <= _LISTED_COPIES else same[:1]):
        yield from ((first, second) for second in same[place + 1 :])


def _find_near(fingerprints: Sequence[Fingerprint], distinct: NDArray[np.intp]) -> list[DuplicatePair]:
    """The pairs among photos of different bytes by their places in `distinct`, each at its best alignment."""
    if len(distinct) < 2:
        return []
    photos = _Photos(fingerprints, distinct)
    best: dict[tuple[int, int], DuplicatePair] = {}
    for place, symmetry in enumerate(_SYMMETRIES):
        for proposed in _propose(photos.hashes[0], photos.hashes[place], means=photos.means):
            for pair in photos.confirm(proposed, symmetry):
                key = (pair.first, pair.second)
                if key not in best or best[key].correlation < pair.correlation:
                    best[key] = pair
    return list(best.values())


def _propose(
    bits: NDArray[np.uint64], others: NDArray[np.uint64], *, means: NDArray[np.float64]
) -> Iterator[NDArray[np.int64]]:
    """Blocks (M, 2) of places first < second whose hashes are within the radius; `means` (N,) are in rising order."""
    for start in range(0, len(bits), _ROWS):
        rows = bits[start : start + _ROWS, None]
        end = int(np.searchsorted(means, means[start + len(rows) - 1] + MAX_REGION_DIFFERENCE, side="right"))
        for left in range(start, end, _COLUMNS):
            close = np.bitwise_count(rows ^ others[None, left : min(end, left + _COLUMNS)]) <= HASH_RADIUS
            first, second = np.nonzero(close)
            pairs = np.stack([first + start, second + left], axis=1)
            pairs = pairs[pairs[:, 0] < pairs[:, 1]]
            yield from (pairs[place : place + _PAIRS] for place in range(0, len(pairs), _PAIRS))


class _Photos:
    """The photos in the order of their mean brightness, ready to be compared.

    Attributes:
        means: (N,) float64, mean grey level, rising.
        hashes: (8, N) uint64, of all photos moved by each of the symmetries.
    """

    def __init__(self, fingerprints: Sequence[Fingerprint], distinct: NDArray[np.intp]) -> None:
        facts = np.empty((len(distinct), 2))
        for row, index in enumerate(distinct.tolist()):
            facts[row] = _facts(fingerprints[index])
        self._order = np.argsort(facts[:, 0], kind="stable")
        self._fingerprints = fingerprints
        self._distinct = distinct
        self.means, self._aspects = facts[self._order].T.copy()
        chosen = np.unique(np.linspace(0, len(distinct) - 1, _LAYOUT_SAMPLE).astype(int))
        self._mean, self._directions = _shared_layout(self._thumbnails_of(chosen))
        self.hashes = np.empty((len(_SYMMETRIES), len(distinct)), dtype=np.uint64)
        self._region_sums = np.empty((len(distinct), _REGIONS, _REGIONS), dtype=np.uint16)
        usual = _spectra(self._mean[None])
        for start in range(0, len(distinct), _ROWS):
            here = slice(start, min(start + _ROWS, len(distinct)))
            block = self._thumbnails_of(np.arange(here.start, here.stop))
            self._region_sums[here] = _region_sums(block)
            spectra = _spectra(_details(block))
            for place, symmetry in enumerate(_SYMMETRIES):
                self.hashes[place, here] = _hashes(symmetry.of_spectra(spectra) - usual)

    def _thumbnails_of(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """(M, 64, 64) of these places; they are looked up each time, since they may lie in a file."""
        return np.stack([self._mark(place).thumbnail for place in places.tolist()])

    def _mark(self, place: int) -> Fingerprint:
        return self._fingerprints[int(self._distinct[self._order[place]])]

    def confirm(self, pairs: NDArray[np.int64], symmetry: _Symmetry) -> Iterator[DuplicatePair]:
        """The proposed pairs (M, 2) of places whose aligned pixels agree."""
        pairs = pairs[self._same_aspect(pairs, symmetry)]
        sums = self._region_sums[pairs].astype(np.float32)  # (M, 2, 8, 8)
        apart = np.abs(sums[:, 0] - symmetry.of_images(sums[:, 1])) / _REGION_PIXELS
        pairs = pairs[apart.max(axis=(1, 2)) <= MAX_REGION_DIFFERENCE]
        for start in range(0, len(pairs), _ROWS):
            yield from self._confirm_pixels(pairs[start : start + _ROWS], symmetry)

    def _confirm_pixels(self, pairs: NDArray[np.int64], symmetry: _Symmetry) -> Iterator[DuplicatePair]:
        firsts = self._thumbnails_of(pairs[:, 0])
        seconds = symmetry.of_images(self._thumbnails_of(pairs[:, 1]))
        difference = np.sqrt(((firsts.astype(np.float32) - seconds) ** 2).mean(axis=(1, 2)))
        correlations = (self._own_details(firsts) * self._own_details(seconds)).sum(axis=1)
        for row in np.flatnonzero((difference <= MAX_DIFFERENCE) & (correlations >= MIN_CORRELATION)):
            first, second = sorted(self._order[pairs[row]].tolist())
            kind = symmetry.kind(*(self._fingerprints[int(self._distinct[place])] for place in (first, second)))
            yield DuplicatePair(first, second, kind, min(1.0, float(correlations[row])))

    def _same_aspect(self, pairs: NDArray[np.int64], symmetry: _Symmetry) -> NDArray[np.bool_]:
        moved = self._aspects[pairs[:, 1]] * (-1.0 if symmetry.transposed else 1.0)
        return np.asarray(np.abs(self._aspects[pairs[:, 0]] - moved) <= _ASPECT_TOLERANCE)

    def _own_details(self, thumbnails: NDArray[np.uint8]) -> Floats:
        """(M, 4096) details without the shared layout, each of length 1; near 0 where there is no detail at all."""
        details = _details(thumbnails) - self._mean
        shared = np.asarray((details @ self._directions.T) @ self._directions, dtype=np.float32)
        return _normalise(details - shared, least=_LEAST_DETAIL)


def _shared_layout(thumbnails: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """What the photos of a set have in common: mean detail (4096) and further shared directions (D, 4096).

    Photos that show one picture count once, else the copies would be taken for layout; only a picture that more
    than half of all photos show is layout. Fewer than 20 different photos say nothing about a layout.
    """
    sample = thumbnails.reshape(len(thumbnails), -1).astype(np.float64)
    squares = (sample**2).sum(axis=1)
    apart = np.maximum(squares[:, None] + squares[None, :] - 2.0 * sample @ sample.T, 0.0) / sample.shape[1]
    same = apart <= _SAME_PICTURE**2
    different: list[int] = []
    for place in range(len(thumbnails)):
        if not same[place, different].any():
            different.append(place)
    everyone = np.arange(len(thumbnails))
    kept = everyone if 2 * same[:, different].sum(axis=0).max() > len(thumbnails) else everyone[different]
    if len(kept) < _FEWEST_FOR_LAYOUT:
        return np.zeros(THUMBNAIL_SIDE**2, dtype=np.float32), np.zeros((0, THUMBNAIL_SIDE**2), dtype=np.float32)
    details = _details(thumbnails[kept])
    mean = details.mean(axis=0, dtype=np.float32)
    return mean, _shared_directions(_normalise(details - mean))


def _shared_directions(rows: Floats) -> Floats:
    """The strongest principal components (D, 4096) of (M, 4096) rows to which many rows contribute.

    Two copies of one photo make a strong component of their own, yet only two rows contribute to it: the number of
    contributors is the participation ratio 1 / sum(u^4) of its unit vector of loadings u.
    """
    values, vectors = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    strongest = vectors[:, np.argsort(values)[::-1][: min(_MOST_DIRECTIONS, len(rows) // _PHOTOS_PER_DIRECTION)]]
    contributors = 1.0 / (strongest**4).sum(axis=0)
    shared = strongest[:, contributors >= len(rows) / 8]
    return _normalise(np.asarray(shared.T @ rows, dtype=np.float32))


def _facts(mark: Fingerprint) -> tuple[float, float]:
    """Mean grey level, and logarithm of height over width."""
    return float(mark.thumbnail.mean(dtype=np.float64)), float(np.log(mark.height / mark.width))


def _details(thumbnails: NDArray[np.uint8]) -> Floats:
    """(M, 64, 64) grey to (M, 4096) float32 without slow changes of light."""
    details = np.empty((len(thumbnails), THUMBNAIL_SIDE**2), dtype=np.float32)
    for index, thumbnail in enumerate(thumbnails):
        grey = np.ascontiguousarray(thumbnail, dtype=np.float32)
        smooth = cv2.GaussianBlur(grey, (0, 0), _DETAIL_SIGMA, borderType=cv2.BORDER_REFLECT)
        details[index] = (grey - smooth).ravel()
    return details


def _region_sums(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """(M, 64, 64) to (M, 8, 8) sums of the grey levels of 8 x 8 pixels; at most 16,320."""
    step = THUMBNAIL_SIDE // _REGIONS
    blocks = thumbnails.reshape(len(thumbnails), _REGIONS, step, _REGIONS, step)
    return np.asarray(blocks.sum(axis=(2, 4), dtype=np.uint16))


def _spectra(details: Floats) -> Floats:
    """(M, 4096) to (M, 8, 8) cosine coefficients of frequencies 1 to 8."""
    places = (np.arange(THUMBNAIL_SIDE) + 0.5) * np.pi / THUMBNAIL_SIDE
    basis = np.cos(np.arange(1, _FREQUENCIES + 1)[:, None] * places[None, :]).astype(np.float32)
    return np.asarray(basis @ details.reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE) @ basis.T)


def _hashes(spectra: Floats) -> NDArray[np.uint64]:
    """(M, 8, 8) coefficients to (M,) their 64 signs."""
    signs: NDArray[np.uint64] = np.packbits(spectra.reshape(len(spectra), -1) > 0.0, axis=1).view(np.uint64)[:, 0]
    return signs


def _normalise(rows: Floats, *, least: float = 1e-6) -> Floats:
    """Rows (M, 4096) of length 1; a row whose root mean square is below `least` stays shorter."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, least * THUMBNAIL_SIDE), dtype=np.float32)
