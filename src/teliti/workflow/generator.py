"""`ImageDataGenerator`: Keras's names for augmenting arrays, folders and tables of photos, with its traps mended.

This class only joins rooms: `transforms/generator*` draws, moves pixels, standardises and makes batches,
`generators/` beside this file finds and loads the photos.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from teliti.data.loading import map_ahead
from teliti.runtime import default_threads
from teliti.transforms.generator import (
    ChannelShift,
    DataFormat,
    FillMode,
    GeneratorSettings,
    PixelFunction,
    ShiftRange,
    check_settings,
)
from teliti.transforms.generator_apply import apply_like_keras, apply_parameters
from teliti.transforms.generator_batches import Batches, Batching, BatchOptions, PhotoSource, PhotoSteps
from teliti.transforms.generator_draw import GLOBAL, Parameters, RandomSource, draw_parameters, seed_global
from teliti.transforms.generator_order import SeededOrder
from teliti.transforms.generator_pictures import ColorMode, Interpolation
from teliti.transforms.generator_standardize import (
    Statistics,
    check_photos,
    fit_like_keras,
    fit_statistics,
    standardize,
    standardize_like_keras,
)
from teliti.workflow.generators.files import photo_loading
from teliti.workflow.generators.readers import array_source, folder_source, select_rows, table_source
from teliti.workflow.generators.split import check_same_split
from teliti.workflow.generators.table import TableColumns

Photo = NDArray[Any]


class ImageDataGenerator:
    """Random changes and standardisation of photos, batch by batch, under Keras's names.

    The arguments, the readers and their meaning are those of Keras's legacy class; positional arguments are those that
    code in the wild passes by position, all others are passed by name. Nine traps of the original are mended;
    `keras_compatible=True` brings every one of them back, with the original's numbers:

    1. The validation part is stratified by class and seeded (`split_seed`), not the first part of each folder or
       array; photos of one group (`groups`, `group_col`) stay on one side.
    2. The validation subset is not augmented.
    3. `fit` leaves the validation part out; give it the `y` (and `groups`) that `flow` gets.
    4. Saved previews show the augmented photo at its true brightness, named prefix_position_epoch.
    5. Each photo has a random generator of its own, a function of seed, epoch and position: any number of threads,
       any order, same pixels; NumPy's process-wide generator is neither read nor set.
    6. Files are resized by area when shrinking and cubically when growing, not by nearest neighbour.
    7. `channel_shift_range` draws an amount for each channel; `channel_shift="together"` is the original's one amount.
    8. No deprecated SciPy name is called; without `keras_compatible`, no SciPy at all.
    9. A broken photo is left out of its batch, said by a warning and counted in `refused`.

    Three more, found while comparing and mended too: in the original `height_shift_range` moves photos sideways and
    `width_shift_range` up and down, oblong photos turn about a point that is not their centre, and `sample_weight` is
    not divided with the subset. Also, `standardize` leaves the array that it is given as it is.

    Args:
        featurewise_center: Subtract the per-channel mean found by `fit`.
        samplewise_center: Subtract the photo's own mean over all channels.
        featurewise_std_normalization: Divide by the per-channel deviation + 1e-6; switches featurewise_center on.
        samplewise_std_normalization: Divide by the photo's own deviation + 1e-6; switches samplewise_center on.
        zca_whitening: Whiten; switches featurewise_center on and featurewise_std_normalization off.
        zca_epsilon: Added to the singular values.
        rotation_range: Degrees, uniform in -r..r.
        width_shift_range: Float below 1: share of the width; other floats: pixels; both uniform. Integer n: 0..n-1
            pixels with random sign. List: one entry with random sign, as shares when all are below 1.
        height_shift_range: The same along the height.
        brightness_range: Bounds of a uniform factor; the original's result passes through 8 bits.
        shear_range: Degrees, uniform in -s..s.
        zoom_range: z for factors in 1-z..1+z, or the bounds; one factor for each axis; below 1 enlarges.
        channel_shift_range: Amount, uniform in -c..c; the photo's own extremes stay the bounds.
        fill_mode: nearest aaaa|abcd|dddd, constant kkkk|abcd|kkkk, reflect dcba|abcd|dcba, wrap abcd|abcd|abcd.
        cval: Value of the constant fill.
        horizontal_flip: Mirror left and right with chance one half.
        vertical_flip: Mirror top and bottom with chance one half.
        rescale: Factor, applied while standardising and fitting.
        preprocessing_function: Photo to photo, first step of `standardize`, called from threads; not used by `fit`.
        data_format: channels_last (H, W, C) or channels_first (C, H, W); None is channels_last.
        validation_split: Share of the validation part, below 1.
        interpolation_order: 0 nearest, 1 linear, 3 cubic; with `keras_compatible` a spline of order 0 to 5.
        dtype: Of batches; None is float32.
        keras_compatible: The original's behaviour and numbers; moving pixels then needs SciPy (extra `train`).
        channel_shift: per_channel or together; None is per_channel, with `keras_compatible` together.
        split_seed: Of the validation part, one for all readers of this generator.

    Attributes:
        settings: The arguments, checked; each can also be read under its own name.
        mean: (1, 1, C) or (C, 1, 1) from `fit`, or None, as `std` and the (D, D) `zca_whitening_matrix`; may be set.

    Raises:
        UserError: an argument without a meaning.
    """

    __slots__ = ("_fitted_with_labels", "_random", "mean", "settings", "std", "zca_whitening_matrix")

    def __init__(
        self,
        *,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: ShiftRange = 0.0,
        height_shift_range: ShiftRange = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: float | Sequence[float] = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: FillMode = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: PixelFunction | None = None,
        data_format: DataFormat | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: str | None = None,
        keras_compatible: bool = False,
        channel_shift: ChannelShift | None = None,
        split_seed: int = 0,
    ) -> None:
        given = {name: value for name, value in locals().items() if name != "self"}
        given["data_format"] = data_format or "channels_last"
        given["dtype"] = dtype or "float32"
        given["channel_shift"] = channel_shift or ("together" if keras_compatible else "per_channel")
        self.settings = check_settings(GeneratorSettings(**given))
        self.mean: Photo | None = None
        self.std: Photo | None = None
        self.zca_whitening_matrix: Photo | None = None
        self._fitted_with_labels: bool | None = None
        self._random = np.random.default_rng()

    def __getattr__(self, name: str) -> Any:
        if name in GeneratorSettings.__dataclass_fields__:
            return getattr(self.settings, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        *,
        sample_weight: Any = None,
        ignore_class_split: bool = False,
        subset: str | None = None,
        groups: Sequence[Any] | None = None,
        **batching: Unpack[Batching],
    ) -> Batches:
        """Batches from arrays.

        Args:
            x: (N, H, W, C) or (N, C, H, W) photos, or a pair of them and one or more further inputs (N, ...).
            y: (N, ...) targets.
            batch_size: Photos of a batch.
            sample_weight: (N,) weights.
            ignore_class_split: Divide without regard to `y`.
            subset: training or validation.
            groups: (N) photos of one group stay in one subset.
            **batching: shuffle=True, seed=None, save_to_dir=None, save_prefix="", save_format="png"; see `Batching`.

        Raises:
            UserError: arrays that do not fit, or a subset that cannot be made.
            SplitError: a class has too few photos for both subsets.
        """
        options = BatchOptions(batch_size=batch_size, **batching)
        check_same_split(self._fitted_with_labels, None if ignore_class_split else y, subset)
        source = array_source(
            self.settings,
            x,
            y,
            sample_weight=sample_weight,
            subset=subset,
            ignore_class_split=ignore_class_split,
            groups=groups,
        )
        return self._batches(source, options, subset)

    def flow_from_directory(
        self,
        directory: str | Path,
        target_size: tuple[int, int] = (256, 256),
        color_mode: ColorMode = "rgb",
        *,
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: Interpolation | None = None,
        keep_aspect_ratio: bool = False,
        **batching: Unpack[Batching],
    ) -> Batches:
        """Batches from a folder of class folders.

        Args:
            directory: The folder.
            target_size: (height, width) in pixels.
            color_mode: rgb, rgba or grayscale; without `keras_compatible`, alpha is composed over white.
            classes: Class folders in the order of their indices; None takes all, sorted.
            class_mode: categorical (one-hot), binary, sparse, input (the batch itself) or None.
            batch_size: Photos of a batch.
            follow_links: Go into linked folders, each once.
            subset: training or validation.
            interpolation: nearest, bilinear, bicubic, hamming, box or lanczos of Pillow; None resizes by area when
                shrinking and cubically when growing, with `keras_compatible` by nearest neighbour.
            keep_aspect_ratio: Take the largest central part of that aspect ratio first.
            **batching: As in `flow`.

        Raises:
            UserError: no such folder, no photos, or an argument without a meaning.
            SplitError: a class has too few photos for both subsets.
        """
        options = BatchOptions(batch_size=batch_size, **batching)
        loading = photo_loading(
            self.settings, target_size, color_mode, interpolation=interpolation, keep_aspect_ratio=keep_aspect_ratio
        )
        source = folder_source(
            self.settings,
            directory,
            loading,
            classes=classes,
            class_mode=class_mode,
            follow_links=follow_links,
            subset=subset,
        )
        return self._batches(source, options, subset)

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: str | None = None,
        x_col: str = "filename",
        *,
        y_col: str | list[str] = "class",
        weight_col: str | None = None,
        target_size: tuple[int, int] = (256, 256),
        color_mode: ColorMode = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        subset: str | None = None,
        interpolation: Interpolation | None = None,
        validate_filenames: bool = True,
        group_col: str | None = None,
        **batching: Unpack[Batching],
    ) -> Batches:
        """Batches from the rows of a table.

        Args:
            dataframe: A DataFrame, a mapping of column name to values, or a sequence of records.
            directory: What file names are relative to.
            x_col: Column of file names.
            y_col: Column of labels (text, or lists of texts for several classes a photo); a list of columns for
                multi_output.
            weight_col: Column of weights.
            target_size: As in `flow_from_directory`.
            color_mode: As there.
            classes: Wanted classes in the order of their indices; rows of others are left out.
            class_mode: categorical, binary, sparse, input, multi_output, raw or None.
            batch_size: Photos of a batch.
            subset: training or validation.
            interpolation: As in `flow_from_directory`.
            validate_filenames: Leave out rows whose file does not exist or is no image by its suffix, with a warning.
            group_col: Column of groups; photos of one group stay in one subset.
            **batching: As in `flow`.

        Raises:
            UserError: a column or a value that cannot be used, or no photo at all.
            SplitError: a class has too few photos for both subsets.
        """
        options = BatchOptions(batch_size=batch_size, **batching)
        source = table_source(
            self.settings,
            dataframe,
            photo_loading(self.settings, target_size, color_mode, interpolation=interpolation),
            directory=directory,
            named=TableColumns(x=x_col, y=y_col, weight=weight_col, group=group_col),
            classes=classes,
            class_mode=class_mode,
            validate_filenames=validate_filenames,
            subset=subset,
        )
        return self._batches(source, options, subset)

    def standardize(self, x: Photo) -> Photo:
        """Function, rescale, sample-wise, feature-wise, ZCA, in this order.

        Args:
            x: One photo or a batch; float with `keras_compatible`, which changes it in place.
        """
        found = Statistics(self.mean, self.std, self.zca_whitening_matrix)
        run = standardize_like_keras if self.settings.keras_compatible else standardize
        return run(self.settings, found, x)

    def get_random_transform(self, img_shape: Sequence[int], seed: int | None = None) -> Parameters:
        """Draw the parameters of one photo.

        Args:
            img_shape: (H, W, C), or (C, H, W) with channels first.
            seed: Same seed, same parameters; with `keras_compatible` it seeds NumPy's process-wide generator.
        """
        if self.settings.keras_compatible:
            seed_global(seed)
            return draw_parameters(self.settings, img_shape, GLOBAL)
        random = self._random if seed is None else np.random.default_rng(seed)
        return draw_parameters(self.settings, img_shape, random)

    def apply_transform(self, x: Photo, transform_parameters: Parameters) -> Photo:
        """Apply drawn parameters: affine, channel shift, flips, brightness; the given photo stays as it is.

        Args:
            x: (H, W, C), or (C, H, W) with channels first; uint8 or float.
            transform_parameters: See `Parameters`; absent keys change nothing.

        Raises:
            UserError: not one photo, or a parameter that does not exist.
            MissingExtraError: `keras_compatible` without SciPy.
        """
        run = apply_like_keras if self.settings.keras_compatible else apply_parameters
        return run(self.settings, x, transform_parameters)

    def random_transform(self, x: Photo, seed: int | None = None) -> Photo:
        """Draw and apply; arguments as of `apply_transform` and `get_random_transform`."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))

    def fit(
        self,
        x: Any,
        augment: bool = False,
        rounds: int = 1,
        *,
        seed: int | None = None,
        y: Any = None,
        groups: Sequence[Any] | None = None,
    ) -> None:
        """Find `mean`, `std` and `zca_whitening_matrix`, as far as they are asked for.

        Args:
            x: (N, H, W, C) or (N, C, H, W) photos.
            augment: Use augmented photos.
            rounds: How often each photo is augmented.
            seed: Of the augmentation.
            y: (N, ...) the targets that `flow` gets: with a validation_split, the same photos are left out.
            groups: (N) the groups that `flow` gets.

        Raises:
            UserError: not of rank 4, or whitening that would not fit into memory.
        """
        settings = self.settings
        photos = np.array(x, dtype=settings.dtype)
        check_photos(settings, photos, purpose="fit")
        if settings.keras_compatible:
            seed_global(seed)
        elif settings.validation_split:
            photos = photos[select_rows(settings, y, groups, count=len(photos), subset="training")]
            self._fitted_with_labels = y is not None
        if settings.rescale:
            photos *= settings.rescale
        if augment:
            photos = np.stack(list(self._augmented(photos, rounds=rounds, seed=seed)))
        found = (fit_like_keras if settings.keras_compatible else fit_statistics)(settings, photos)
        self.mean, self.std, self.zca_whitening_matrix = found.mean, found.std, found.zca_matrix

    def _augmented(self, photos: Photo, *, rounds: int, seed: int | None) -> Iterator[Photo]:
        order = SeededOrder(len(photos), 1, shuffle=False, seed=seed)
        for turn in range(rounds):
            for index, photo in enumerate(photos):
                yield self._augment(photo, GLOBAL if self.settings.keras_compatible else order.source(turn, index))

    def _augment(self, photo: Photo, random: RandomSource) -> Photo:
        return self.apply_transform(photo, draw_parameters(self.settings, photo.shape, random))

    def _batches(self, source: PhotoSource, options: BatchOptions, subset: str | None) -> Batches:
        is_measured = subset == "validation" and not self.settings.keras_compatible
        steps = PhotoSteps(self.settings, None if is_measured else self._augment, self.standardize)
        return Batches(source, steps, options, parallel=partial(map_ahead, threads=default_threads()))
