"""Photos on which augmentation is tried: the training part of a job, its features, and features of augmented views.

Features of a view are cached by content like those of a photo: an operation with its strength, the seed and the number
of the view name a space of the cache, the photo's SHA-256 the row in it. A photo meets the backbone once for each view,
however many trials use it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teliti.cache import RowCache
from teliti.data.beside import beside_of
from teliti.data.decoded import read_photo
from teliti.data.loading import map_ahead
from teliti.data.split import fold_samples
from teliti.errors import PhotoRefused, UserError
from teliti.files import sha256_hex
from teliti.recipe import Recipe
from teliti.runtime import default_threads
from teliti.training.features.engines import PHOTOS_PER_CALL, FeatureEngine, check_device, open_engine
from teliti.training.features.extraction import compute_features
from teliti.training.heads.kernel import EXACT_LIMIT
from teliti.transforms import policy_named
from teliti.transforms.augment import AugmentChain, build_augment, photo_rng
from teliti.transforms.policy_file import expand_policies
from teliti.types import IntArray, Record, Reporter, Sample, UInt8Image
from teliti.workflow.policies.measures import Ground
from teliti.workflow.shared.part_finding import aside_files
from teliti.workflow.shared.photos import Photos, read_photos
from teliti.workflow.shared.plan import SplitPlan, plan_split
from teliti.workflow.shared.setup import Setup, check_recipe, recipe_steps, resolve_data, resolve_setup

__all__ = ["TrialPhotos", "build_policy_chain", "open_trial_photos", "policy_named"]

_ROWS_PER_WRITE = 32
_FORMAT = 1
_PHOTOS_LOOKED_AT = 4  # to tell whether an operation changes anything


@dataclass(frozen=True)
class TrialPhotos:
    """The photos of the training part, ready for trials.

    Attributes:
        photos: All photos of the source.
        plan: How they are divided; nothing here looks at the test part.
        rows: (N,) positions of the photos that take part.
        setup: Network and resolved recipe.
        ground: Their features, targets and groups; the head's setting is still empty.
        cache: Where features of views are kept.
    """

    photos: Photos
    plan: SplitPlan
    rows: IntArray
    setup: Setup
    ground: Ground
    cache: RowCache

    @property
    def seed(self) -> int:
        """The recipe's."""
        return self.setup.recipe.seed

    @property
    def sentence(self) -> str:
        """Which photos these are, for people."""
        count, whole = len(self.rows), len(self.photos.samples)
        if self.plan.folds is not None:
            return f"There are too few photos for a sealed test part, so all {whole:,} take part."
        learnt = len(self.plan.indices("train"))
        part = f"the {count:,} photos of the training part"
        if count < learnt:
            part = f"{count:,} of the {learnt:,} photos of the training part, drawn with the seed"
        return f"Only {part} take part; the test part stays sealed."

    def view_features(self, chain: AugmentChain, inside: IntArray, *, views: int) -> NDArray[np.float32]:
        """Features of augmented views.

        Args:
            chain: What is done to the prepared photo, at the network's size.
            inside: (n,) positions among the photos that take part.
            views: V, how many views of each photo.

        Returns:
            (n, V, D) float32; the same for any number of threads and in any order.
        """
        places = self.rows[inside].tolist()
        samples = [self.photos.samples[place] for place in places]
        digests = [
            self.setup.source.row_key(sample, self.photos.fingerprints[place].digest)
            for sample, place in zip(samples, places, strict=True)
        ]
        columns = [self._view(chain, samples, digests, view=view) for view in range(views)]
        return np.stack(columns, axis=1)

    def changes_photos(self, chain: AugmentChain) -> bool:
        """False where the chain leaves the first photos as they are, for instance colours of grey photos."""
        for place in self.rows[:_PHOTOS_LOOKED_AT].tolist():
            image = self._prepared(self.photos.samples[place])
            for view in range(_PHOTOS_LOOKED_AT):
                if not np.array_equal(chain(image, photo_rng(self.seed, str(place), view)), image):
                    return True
        return False

    def _view(
        self, chain: AugmentChain, samples: Sequence[Sample], digests: Sequence[bytes], *, view: int
    ) -> NDArray[np.float32]:
        facts = [_FORMAT, self.setup.source.space, chain.to_record(), self.seed, view]
        space = "view-features-" + sha256_hex(json.dumps(facts, sort_keys=True).encode())[:32]
        rows = self.cache.read(space, digests)
        missing = {digest: one for digest, one in zip(digests, samples, strict=True) if digest not in rows}
        for fresh in self._compute(chain, missing, view=view):
            self.cache.write(space, fresh, about=f"augmented views, {self.setup.source.about}")
            rows.update(fresh)
        return np.stack([np.frombuffer(rows[digest], dtype=np.float32) for digest in digests])

    def _compute(
        self, chain: AugmentChain, missing: Mapping[bytes, Sample], *, view: int
    ) -> Iterator[dict[bytes, bytes]]:
        def load(item: tuple[bytes, Sample]) -> UInt8Image:
            return chain(self._prepared(item[1]), photo_rng(self.seed, item[0], view))

        if not missing:
            return
        images = map_ahead(load, missing.items(), threads=self.setup.source.threads)
        digests, fresh = iter(missing), dict[bytes, bytes]()
        for features in self._engine.run(_batches(images, PHOTOS_PER_CALL[self.setup.engine.name])):
            fresh.update((digest, row.tobytes()) for row, digest in zip(features, digests, strict=False))
            if len(fresh) >= _ROWS_PER_WRITE:
                yield fresh
                fresh = {}
        if fresh:
            yield fresh

    def _prepared(self, sample: Sample) -> UInt8Image:
        try:
            return self.setup.source.chain(read_photo(sample), beside=beside_of(sample.origin))
        except PhotoRefused as error:
            raise PhotoRefused(f'"{sample.name}" changed while it was used: {error.reason}') from error

    @cached_property
    def _engine(self) -> FeatureEngine:
        source = self.setup.source
        return open_engine(source.engine, source.backbone, threads=source.threads)


def open_trial_photos(
    source: str, recipe: Recipe, *, cache: RowCache, reporter: Reporter, most_views: int
) -> TrialPhotos:
    """Read the photos, divide them as `train` would, and compute the features of the training part.

    Args:
        source: As for `train`.
        recipe: Its [[augment]] is not used.
        cache: Where features are kept.
        reporter: Told about long work.
        most_views: Views of each photo that a trial will learn from; bounds how many photos take part, so that an
            exact kernel head can be fitted.

    Raises:
        UserError: bad recipe, bad data, too few photos.
    """
    check_recipe(recipe)
    check_device(recipe.train.engine, recipe.train.device)  # features are computed whatever the mode
    threads = recipe.train.threads or default_threads()
    photos = read_photos(
        source,
        use_group=recipe.data.group,
        cache=cache,
        threads=threads,
        reporter=reporter,
        chains=[recipe_steps(recipe)],
        aside=aside_files([recipe]),
        task=recipe.data.task,
    )
    if photos.targets.ndim == 2:
        raise UserError(
            "The search for a policy needs photos with one class or one number each, got several a photo.",
            hint="Name [[augment]] steps or a policy yourself; teliti augment --compare tells whether they help.",
        )
    plan = plan_split(photos, recipe)
    resolved, _ = resolve_data(recipe, photos, plan)
    setup = resolve_setup(resolved)
    rows = _bounded(plan.indices("train"), photos, plan, limit=EXACT_LIMIT // (1 + most_views), seed=recipe.seed)
    samples, digests = ([whole[place] for place in rows.tolist()] for whole in (photos.samples, photos.digests))
    features = compute_features(samples, digests, setup.source, cache=cache, reporter=reporter)
    num_classes = len(photos.catalog.classes)
    ground = Ground(features.matrix, photos.targets[rows], plan.groups[rows], num_classes, setup.recipe.model, {})
    return TrialPhotos(photos, plan, rows, setup, ground, cache)


def build_policy_chain(entries: Iterable[Mapping[str, Any]]) -> AugmentChain:
    """Entries as in a recipe, policies among them, as a chain.

    Raises:
        RecipeError: unknown operation or parameter, or a policy file that cannot be used.
    """
    return build_augment(expand_policies(entries))


def entry_words(entry: Record) -> str:
    """An entry on one line, for instance `rotate degrees=5`."""
    return " ".join([str(entry["step"]), *(f"{key}={_short(value)}" for key, value in entry.items() if key != "step")])


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _bounded(rows: IntArray, photos: Photos, plan: SplitPlan, *, limit: int, seed: int) -> IntArray:
    """The rows, or a share of about `limit` of them: whole groups, stratified."""
    if len(rows) <= limit:
        return rows
    folds = fold_samples(photos.targets[rows], plan.groups[rows], folds=-(-len(rows) // limit), seed=seed)
    return np.asarray(rows[folds == 0])


def _batches(images: Iterator[UInt8Image], size: int) -> Iterator[UInt8Image]:
    """Batches of exactly `size`; the last one is filled up with its first photo."""
    batch = list[UInt8Image]()
    for image in images:
        batch.append(image)
        if len(batch) == size:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch + [batch[0]] * (size - len(batch)))
