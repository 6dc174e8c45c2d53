"""The one inference path: bundle in, verdicts out. numpy, OpenCV and ONNX Runtime; never torch.

ONNX Runtime is the engine that every published number comes from. Where another engine computes because it is faster,
a photo whose verdict hangs on its last digits is computed again by ONNX Runtime, which decides: a verdict does not
depend on the engine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.bundle import Bundle, open_bundle
from teliti.data.beside import beside_of
from teliti.data.conditions import Conditions, measure_conditions
from teliti.data.decode import decode_photo
from teliti.data.decoded import read_photo
from teliti.data.loading import AHEAD_PER_THREAD, load_prepared, map_ahead
from teliti.data.origins import FileOrigin
from teliti.errors import PhotoRefused, UserError
from teliti.metrics.decision import REVIEW, Decision
from teliti.metrics.number_rule import NumberRule
from teliti.metrics.tiles import combine_parts
from teliti.runtime import default_threads
from teliti.sessions import EngineWish, OnnxRuntimeSession, OpenVinoSession, Session, choose_engine
from teliti.types import Prediction, Record, Reporter, Sample, SilentReporter, UInt8Image

_MOST_MOVED = 2  # of the most likely classes
_MOST_TILES = 8  # a call; one photo a call is faster on a CPU than eight, and answers do not depend on neighbours
GOLDEN_TOLERANCE = 1e-4
"""How far an answer to a golden photo may be from the recorded one."""
CLOSE = 1e-3
"""How near a limit a score of a faster engine is computed again; engines differ by a hundredth of it and less."""
NOVELTY = "novelty"
"""Name of the output that says how unlike the training photos a photo is."""


@dataclass(frozen=True)
class Scores:
    """The network's raw answers for a batch.

    Attributes:
        outputs: (N, K) float32: probabilities of classes or labels, or the numbers of a regression.
        logits: (N, K) float32 before the softmax or sigmoid; equal to `outputs` for regression.
        novelty: (N,) float32 >= 0, how unlike the training photos each is; None where the network does not tell it.
    """

    outputs: NDArray[np.float32]
    logits: NDArray[np.float32]
    novelty: NDArray[np.float32] | None = None


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
            other = Predictor(opened, threads=self.threads, session=session, referee=self.session)
            if other.self_test()["passed"]:
                other.engine = choice
                return other
        self.engine = choice | {"name": self.session.engine}
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
            return self._answer(self._prepare_given(photos[0]))
        taken: deque[Conditions | None] = deque()
        scored = self._score_all(_without_conditions(map(self._prepare_given, photos), taken))
        return [prediction for scores in scored for prediction in self._judge_photo(scores, taken.popleft())]

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
                yield 0, self._answer(self._prepare(read(samples[0]), beside_of(samples[0].origin)))[0]
            except PhotoRefused as refused:
                yield 0, refused
            return
        with reporter.task("Inspecting photos", len(samples)) as advance:
            order: deque[tuple[int, PhotoRefused | None]] = deque()
            taken: deque[Conditions | None] = deque()
            prepared = self._prepare_samples(samples, order, read=read)
            ready: deque[Prediction] = deque()
            for scores in self._score_all(_without_conditions(prepared, taken)):
                ready.extend(self._judge_photo(scores, taken.popleft()))
                while order and (order[0][1] is not None or ready):
                    index, refusal = order.popleft()
                    yield index, (ready.popleft() if refusal is None else refusal)
                    advance(1)
            for index, refusal in order:
                if refusal is not None:
                    yield index, refusal
                    advance(1)

    def _answer(self, prepared: Prepared) -> list[Prediction]:
        return self._judge_photo(self.score_photo(prepared.pictures), prepared.conditions)

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
        if self._referee is None or self._is_clear(scores):
            return scores
        return self._score_by(self._referee, pictures)

    def combine(self, parts: Sequence[Scores]) -> Scores:
        """One answer, (1, K), from the answers for all tiles of one photo."""
        outputs = np.concatenate([part.outputs for part in parts])
        logits = np.concatenate([part.logits for part in parts])
        each = [part.novelty for part in parts if part.novelty is not None]
        novelty = np.concatenate(each).max(keepdims=True) if each else None  # one strange tile is enough
        if len(outputs) == 1:
            return Scores(outputs, logits, novelty)
        how, rejects = self.bundle.chain.combine, self.bundle.answers.tile_rejects
        counts = np.array([len(outputs)])
        both = combine_parts(np.concatenate([outputs, logits], axis=1), counts, how=how, rejects=rejects)
        return Scores(both[:, : outputs.shape[1]], both[:, outputs.shape[1] :], novelty)

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
        return Scores(outputs, logits, values.get(NOVELTY))

    def _score_by(self, session: Session, pictures: UInt8Image) -> Scores:
        starts = range(0, len(pictures), _MOST_TILES)
        return self.combine([self._score(session, pictures[start : start + _MOST_TILES]) for start in starts])

    def _is_clear(self, scores: Scores) -> bool:
        """True when the answer for one photo stays the same wherever its numbers are moved a little."""
        answers = self.bundle.answers
        if isinstance(answers, NumberRule):
            return True
        moved = np.repeat(scores.outputs, 2 * (_MOST_MOVED + 1) + 3, axis=0)
        likely = np.argsort(scores.outputs[0])[::-1][:_MOST_MOVED].tolist()
        rejected = np.isin(np.arange(moved.shape[1]), answers.reject_indices)
        for number, shift in enumerate([np.eye(moved.shape[1])[k] for k in likely] + [np.where(rejected, 1.0, -1.0)]):
            moved[2 * number + 1] += CLOSE * shift
            moved[2 * number + 2] -= CLOSE * shift
        novelty = None
        if scores.novelty is not None:
            novelty = np.repeat(scores.novelty, len(moved))
            novelty[-2:] *= (1.0 - CLOSE, 1.0 + CLOSE)
        if isinstance(answers, Decision):
            return len({(one.verdict, one.label) for one in answers.judge(moved, novelty=novelty)}) == 1
        return len({(one.verdict, one.labels) for one in answers.judge(moved)}) == 1

    def judge(self, scores: Scores) -> list[Prediction]:
        """Verdicts from raw answers."""
        answers = self.bundle.answers
        return _judge(scores, answers) if isinstance(answers, Decision) else answers.judge(scores.outputs)

    def self_test(self) -> Record:
        """Run the golden photos: {"photos", "max_abs_difference", "passed"}."""
        difference = 0.0
        for golden in self.bundle.golden:
            names = golden_files(golden.file, patterns=len(self.bundle.chain.beside_patterns))
            outputs = self.score_files([(self.bundle.path / name).read_bytes() for name in names])
            difference = max(difference, float(np.abs(outputs - np.array(golden.outputs)).max()))
        return {
            "photos": len(self.bundle.golden),
            "max_abs_difference": difference,
            "passed": difference <= GOLDEN_TOLERANCE,
        }

    def _judge_photo(self, scores: Scores, conditions: Conditions | None) -> list[Prediction]:
        """Verdicts of one photo, with what lies outside the bundle's envelope."""
        judged, envelope = self.judge(scores), self.bundle.envelope
        if conditions is None or envelope is None:
            return judged
        measured = conditions.to_record()
        outside = envelope.outside(measured)
        minded = [replace(one, conditions=measured, warnings=outside) for one in judged]
        if not outside or envelope.action != "review" or isinstance(self.bundle.answers, NumberRule):
            return minded  # a number is no verdict that a person could give instead
        return [replace(one, verdict=REVIEW, reasons=(*outside, *one.reasons)) for one in minded]

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

    def _prepare_given(self, photo: Any) -> Prepared:
        if isinstance(photo, np.ndarray | bytes):
            return self._prepare(_as_image(photo))
        origin = FileOrigin(str(photo))
        try:
            return self._prepare(decode_photo(origin.read_bytes()), beside_of(origin))
        except PhotoRefused as refusal:
            raise PhotoRefused(f'"{photo}" cannot be used: {refusal.reason}') from refusal


def _without_conditions(photos: Iterable[Prepared], taken: deque[Conditions | None]) -> Iterator[UInt8Image]:
    """The pictures of photos; their conditions wait in `taken` for the answers, which come in the same order."""
    for photo in photos:
        taken.append(photo.conditions)
        yield photo.pictures


def golden_files(file: str, *, patterns: int) -> list[str]:
    """Names in a bundle of a golden photo and of the files beside it, one for each name pattern of the chain."""
    return [file, *(f"{file}-{number}" for number in range(patterns))]


def _judge(scores: Scores, decision: Decision) -> list[Prediction]:
    novelty: list[float | None] = [None] * len(scores.outputs) if scores.novelty is None else scores.novelty.tolist()
    judged = decision.judge(scores.outputs, novelty=scores.novelty)
    predictions = []
    for row, one, strange in zip(scores.outputs, judged, novelty, strict=True):
        by_class = {name: float(p) for name, p in zip(decision.classes, row, strict=True)}
        predictions.append(Prediction(one.verdict, one.label, by_class, one.score, one.reasons, strange))
    return predictions


def _as_image(photo: UInt8Image | bytes) -> UInt8Image:
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or 0 in photo.shape:
            raise UserError(
                f"A photo array must be uint8 RGB of shape (H, W, 3), got {photo.dtype} {photo.shape}.",
                hint="Scale other ranges to 0..255 and repeat a grey channel three times.",
            )
        return photo
    return decode_photo(photo)
