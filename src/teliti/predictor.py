"""The one inference path: bundle in, verdicts out. numpy, OpenCV and ONNX Runtime; never torch.

ONNX Runtime, one photo a call, is what every published number comes from. Where another engine computes because it is
faster, or one call takes several photos, a photo whose verdict hangs on the last digits is computed again so: a verdict
depends neither on the engine nor on a photo's neighbours.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from teliti.bundle import Bundle, golden_files, open_bundle
from teliti.data.beside import beside_of
from teliti.data.conditions import Conditions, measure_conditions
from teliti.data.decode import decode_photo
from teliti.data.decoded import read_photo
from teliti.data.loading import AHEAD_PER_THREAD, load_prepared, map_ahead
from teliti.data.origins import FileOrigin
from teliti.errors import PhotoRefused, UserError
from teliti.metrics.clearness import are_clear
from teliti.metrics.decision import REVIEW
from teliti.metrics.number_rule import NumberRule
from teliti.metrics.scores import Scores, check_shapes, combine_tiles, judge_scores
from teliti.runtime import default_threads
from teliti.sessions import EngineWish, OnnxRuntimeSession, OpenVinoSession, Session, choose_batch, choose_engine
from teliti.types import Prediction, Record, Reporter, Sample, SilentReporter, UInt8Image

__all__ = ["MOST_PHOTOS_PER_CALL", "NOVELTY", "Predictor", "Prepared", "Scores"]

_MOST_TILES = 8  # a call; one photo a call is faster on a CPU than eight, and answers do not depend on neighbours
MOST_PHOTOS_PER_CALL = 64
NOVELTY = "novelty"
"""Name of the output that says how unlike the training photos a photo is."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """One photo as the network takes it, and how it was taken.

    Attributes:
        pictures: (T, H, W, 3) uint8 RGB: its tiles, or the one picture of it.
        conditions: Light, blur, size and scale of the decoded photo; None where the bundle has no envelope.
    """

    pictures: UInt8Image
    conditions: Conditions | None


class Predictor:
    """A bundle ready to predict.

    Args:
        bundle: An opened bundle.
        threads: How many batches are decoded and computed at once; the answers do not depend on it.
        session: The network, opened; None opens the bundle's own in ONNX Runtime.
        referee: Decides photos whose verdict hangs on the last digits; None: the session's own digits stand.
    """

    engine: Record
    """{"name", "photos_per_s"}: which engine computes, and how fast each one was where that was measured."""
    photos_per_call: int
    """How many photos `judge_prepared` gives to one call of the network; 1 unless `in_batches` chose more."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int | None = None,
        session: Session | None = None,
        referee: Session | None = None,
    ) -> None:
        self.bundle = bundle
        self._referee = referee
        self.threads = default_threads() if threads is None else threads
        self.session = OnnxRuntimeSession(bundle.model_path) if session is None else session
        self.engine = {"name": self.session.engine, "photos_per_s": {}}
        self.photos_per_call = 1
        tells_novelty = NOVELTY in self.session.outputs
        self._asked = [*dict.fromkeys(bundle.answers.graph_outputs), *([NOVELTY] if tells_novelty else [])]

    @classmethod
    def open(cls, folder: str | Path, *, threads: int | None = None, engine: EngineWish = "onnxruntime") -> Predictor:
        """Open a bundle folder.

        Args:
            folder: The bundle's.
            threads: How many photos are computed at once.
            engine: See `by_engine`.

        Raises:
            BundleError: missing, damaged, or of another schema.
            MissingExtraError: OpenVINO was named and is not installed.
        """
        return cls(open_bundle(Path(folder)), threads=threads).by_engine(engine)

    def by_engine(self, wish: EngineWish) -> Predictor:
        """The same inspector computed by an engine, or by the faster one here ("auto").

        Another engine than ONNX Runtime is used only where it gives every golden photo its scores.

        Raises:
            MissingExtraError: OpenVINO was named and is not installed.
        """
        if wish == "onnxruntime":
            return self
        opened = self.bundle
        size, digest = opened.chain.image_size, opened.model_hash
        choice = choose_engine(wish, opened.model_path, digest=digest, image_size=size, threads=self.threads)
        if choice["name"] == "openvino":
            session = OpenVinoSession(opened.model_path, threads=self.threads)
            other = Predictor(opened, threads=self.threads, session=session)
            if other.self_test()["passed"]:  # by its own digits: the referee decides afterwards
                other.engine, other._referee = choice, self.session
                return other
        self.engine = choice | {"name": self.session.engine}
        return self

    def in_batches(self, wish: int | None = None) -> Predictor:
        """The same inspector, `judge_prepared` giving so many photos to one call, or the fastest number here (None).

        More than one only in ONNX Runtime, and where every golden photo gets its scores among others, too. Photos that
        are cut into tiles go singly.

        Raises:
            UserError: a number below 1 or above `MOST_PHOTOS_PER_CALL`.
        """
        if wish is not None and not 1 <= wish <= MOST_PHOTOS_PER_CALL:
            hint = "1 computes each photo alone; more than a few seldom gain."
            raise UserError(f"Photos a call must be 1 to {MOST_PHOTOS_PER_CALL}, got {wish}.", hint=hint)
        opened = self.bundle
        if self.session.engine != "onnxruntime" or opened.chain.tile is not None:
            return self
        if wish is None:
            size = opened.chain.image_size
            wish = choose_batch(self.session, digest=opened.model_hash, image_size=size, threads=self.threads)
        self.photos_per_call = wish
        if wish > 1 and not self._are_golden_together():
            self.photos_per_call = 1
        return self

    def predict(self, photos: Sequence[UInt8Image | bytes | str | Path]) -> list[Prediction]:
        """Verdicts of photos given as arrays, encoded bytes or paths.

        Args:
            photos: (H, W, 3) uint8 RGB arrays, or bytes of an encoded photo, or paths.

        Raises:
            PhotoRefused: a photo that cannot be used; with its path where it has one.
            UserError: an array of another kind.
        """
        if len(photos) == 1:  # a line asks so: no thread is worth starting
            return self.judge_prepared([self.prepare_photo(photos[0])])
        taken: deque[Prepared] = deque()
        scored = self._score_all(_pictures(map(self.prepare_photo, photos), taken))
        return [self.judge_photo(scores, taken.popleft()) for scores in scored]

    def predict_samples(
        self,
        samples: Sequence[Sample],
        *,
        reporter: Reporter | None = None,
        read: Callable[[Sample], UInt8Image] = read_photo,
    ) -> Iterator[tuple[int, Prediction | PhotoRefused]]:
        """Verdicts of samples in order; a photo that cannot be used yields its refusal instead.

        Args:
            samples: Where the photos are.
            reporter: Told how far it is.
            read: Where pixels come from, (H, W) grey or (H, W, 3) RGB uint8; called on threads, may raise PhotoRefused.
        """
        reporter = SilentReporter() if reporter is None else reporter
        if len(samples) == 1:
            try:
                yield 0, self.judge_prepared([self._prepare(read(samples[0]), beside_of(samples[0].origin))])[0]
            except PhotoRefused as refused:
                yield 0, refused
            return
        with reporter.task("Inspecting photos", len(samples)) as advance:
            order: deque[tuple[int, PhotoRefused | None]] = deque()
            taken: deque[Prepared] = deque()
            prepared = self._prepare_samples(samples, order, read=read)
            ready: deque[Prediction] = deque()
            for scores in self._score_all(_pictures(prepared, taken)):
                ready.append(self.judge_photo(scores, taken.popleft()))
                while order and (order[0][1] is not None or ready):
                    index, refusal = order.popleft()
                    yield index, (ready.popleft() if refusal is None else refusal)
                    advance(1)
            for index, refusal in order:
                if refusal is not None:
                    yield index, refusal
                    advance(1)

    def prepare_photo(self, photo: UInt8Image | bytes | str | Path) -> Prepared:
        """One photo, given as an array, encoded bytes or a path, as the network takes it.

        Raises:
            PhotoRefused: it cannot be used; with its path where it has one.
            UserError: an array of another kind.
        """
        if isinstance(photo, np.ndarray | bytes):
            return self._prepare(_as_image(photo))
        origin = FileOrigin(str(photo))
        try:
            return self._prepare(decode_photo(origin.read_bytes()), beside_of(origin))
        except PhotoRefused as refusal:
            raise PhotoRefused(f'"{photo}" cannot be used: {refusal.reason}') from refusal

    def judge_prepared(self, photos: Sequence[Prepared]) -> list[Prediction]:
        """The answer for each photo, in order; up to `photos_per_call` go through the network together.

        Raises:
            RunError: an answer is not a number; such a photo must not pass.
        """
        scored = self.score_photos([one.pictures for one in photos])
        return [self.judge_photo(scores, one) for scores, one in zip(scored, photos, strict=True)]

    def prepare_photos(
        self, samples: Sequence[Sample], order: deque[tuple[int, PhotoRefused | None]]
    ) -> Iterator[UInt8Image]:
        """Decoded and prepared photos, (T, H, W, 3) uint8 each: the tiles of a photo, or the one picture of it.

        Args:
            samples: Where the photos are.
            order: Filled while the photos are taken: each sample's index, and None or why it cannot be used.
        """
        return (one.pictures for one in self._prepare_samples(samples, order, read=read_photo))

    def score_photo(self, pictures: UInt8Image) -> Scores:
        """The answer for one photo, (1, K): the network's own, or that of its tiles combined.

        Args:
            pictures: (T, H, W, 3) uint8 RGB, prepared.
        """
        scores = self._score_by(self.session, pictures)
        if self._referee is None or all(self._are_clear(scores)):
            return scores
        return self._score_by(self._referee, pictures)

    def score_photos(self, photos: Sequence[UInt8Image]) -> list[Scores]:
        """The answer for each photo, (1, K), in order, `photos_per_call` of them in one call of the network.

        A photo whose verdict would change if its numbers moved a little is computed again alone, and that counts.

        Args:
            photos: (T, H, W, 3) uint8 RGB each, prepared; one call takes several only where T is 1.
        """
        most = self.photos_per_call
        if most == 1 or len(photos) == 1 or any(len(one) != 1 for one in photos):
            return [self.score_photo(one) for one in photos]
        scored: list[Scores] = []
        for start in range(0, len(photos), most):
            some = photos[start : start + most]
            together = self._score(self.session, np.concatenate(some))
            clear = [False] if len(some) == 1 else self._are_clear(together)
            rows = zip(some, together.single(), clear, strict=True)
            scored += [own if is_clear else self.score_photo(photo) for photo, own, is_clear in rows]
        return scored

    def combine(self, parts: Sequence[Scores]) -> Scores:
        """One answer, (1, K), from the answers for all tiles of one photo."""
        return combine_tiles(parts, how=self.bundle.chain.combine, rejects=self.bundle.answers.tile_rejects)

    def score_files(self, files: Sequence[bytes]) -> NDArray[np.float32]:
        """The answer for one encoded photo, (K,) float32.

        Args:
            files: The photo, then the file beside it for each of the chain's name patterns.

        Raises:
            PhotoRefused: one of them cannot be used.
        """
        beside = dict(zip(self.bundle.chain.beside_patterns, files[1:], strict=True))
        pictures = self.bundle.chain.views(decode_photo(files[0]), lambda pattern: decode_photo(beside[pattern]))
        answer: NDArray[np.float32] = self.score_photo(pictures).outputs[0]
        return answer

    def score_batch(self, batch: UInt8Image) -> Scores:
        """The network's raw answers.

        Args:
            batch: (N, H, W, 3) uint8 RGB, prepared.
        """
        return self._score(self.session, batch)

    def _score(self, session: Session, batch: UInt8Image) -> Scores:
        values = dict(zip(self._asked, session.run(self._asked, batch), strict=True))
        outputs, logits = (values[name] for name in self.bundle.answers.graph_outputs)  # of numbers one and the same
        scores = Scores(outputs, logits, values.get(NOVELTY))
        check_shapes(scores, self.bundle.answers, photos=len(batch))
        return scores

    def _score_by(self, session: Session, pictures: UInt8Image) -> Scores:
        starts = range(0, len(pictures), _MOST_TILES)
        return self.combine([self._score(session, pictures[start : start + _MOST_TILES]) for start in starts])

    def _are_clear(self, scores: Scores) -> list[bool]:
        return are_clear(self.bundle.answers, scores.outputs, scores.novelty)

    def _are_golden_together(self) -> bool:
        """True when golden photos get their scores among as many others as one call takes."""
        golden = self.bundle.golden
        pictures = [self.prepare_photo((self.bundle.path / one.file).read_bytes()).pictures for one in golden]
        for start in range(len(golden)):
            order = [(start + step) % len(golden) for step in range(self.photos_per_call)]
            scores = self._score(self.session, np.concatenate([pictures[at] for at in order]))
            if not self.is_golden(scores.outputs, [golden[at].outputs for at in order]):
                return False
        return True

    def judge(self, scores: Scores) -> list[Prediction]:
        """Verdicts from raw answers."""
        return judge_scores(self.bundle.answers, scores)

    def self_test(self) -> Record:
        """Run the golden photos: {"photos", "max_abs_difference", "passed"}."""
        difference, passed = 0.0, True
        for golden in self.bundle.golden:
            names = golden_files(golden.file, patterns=len(self.bundle.chain.beside_patterns))
            outputs = self.score_files([(self.bundle.path / name).read_bytes() for name in names])
            difference = float(np.maximum(difference, np.abs(outputs - np.array(golden.outputs)).max()))  # keeps NaN
            passed = passed and self.is_golden(outputs, golden.outputs)
        return {"photos": len(self.bundle.golden), "max_abs_difference": difference, "passed": passed}

    def is_golden(self, outputs: NDArray[np.float32], said: Sequence[float] | Sequence[Sequence[float]]) -> bool:
        """True where outputs for golden photos, (K,) or (N, K), are those that were recorded; NaN never is."""
        return bool((np.abs(outputs - np.array(said)) <= self.bundle.golden_limits()).all())

    def judge_photo(self, scores: Scores, photo: Prepared) -> Prediction:
        """The answer for one photo from its scores, with what lies outside the bundle's envelope.

        Raises:
            RunError: the scores are no numbers; such a photo must not pass.
        """
        (judged,), envelope = self.judge(scores), self.bundle.envelope
        if photo.conditions is None or envelope is None:
            return judged
        measured = photo.conditions.to_record()
        outside = envelope.outside(measured)
        minded = replace(judged, conditions=measured, warnings=outside)
        if not outside or envelope.action != "review" or isinstance(self.bundle.answers, NumberRule):
            return minded  # a number is no verdict that a person could give instead
        return replace(minded, verdict=REVIEW, reasons=(*outside, *minded.reasons))

    def _prepare_samples(
        self,
        samples: Sequence[Sample],
        order: deque[tuple[int, PhotoRefused | None]],
        *,
        read: Callable[[Sample], UInt8Image],
    ) -> Iterator[Prepared]:
        def prepare(image: UInt8Image, sample: Sample) -> Prepared:
            return self._prepare(image, beside_of(sample.origin))

        ahead = AHEAD_PER_THREAD if self.bundle.chain.tile is None else 1  # all tiles of a large photo are a lot
        for index, prepared in load_prepared(samples, prepare, threads=self.threads, ahead=ahead, read=read):
            if isinstance(prepared, PhotoRefused):
                order.append((index, prepared))
                continue
            order.append((index, None))
            yield prepared

    def _prepare(self, image: UInt8Image, beside: Callable[[str], UInt8Image] | None = None) -> Prepared:
        pictures = self.bundle.chain.views(image, beside)
        return Prepared(pictures, None if self.bundle.envelope is None else measure_conditions(image))

    def _score_all(self, photos: Iterable[UInt8Image]) -> Iterator[Scores]:
        """An answer a photo, in order; one thread per photo, so that they do not depend on the number of threads."""
        return map_ahead(self.score_photo, photos, threads=self.threads, ahead=1)


def _pictures(photos: Iterable[Prepared], taken: deque[Prepared]) -> Iterator[UInt8Image]:
    """The pictures of photos, which wait in `taken` for the answers, which come in the same order."""
    for photo in photos:
        taken.append(replace(photo, pictures=photo.pictures[:0]))  # they may be large
        yield photo.pictures


def _as_image(photo: UInt8Image | bytes) -> UInt8Image:
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or 0 in photo.shape:
            raise UserError(
                f"A photo array must be uint8 RGB of shape (H, W, 3), got {photo.dtype} {photo.shape}.",
                hint="Scale other ranges to 0..255 and repeat a grey channel three times.",
            )
        return photo
    return decode_photo(photo)
