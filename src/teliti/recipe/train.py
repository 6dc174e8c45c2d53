"""[train]: how it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from teliti.recipe.sections import Section, parse_seconds

Mode = Literal["features", "finetune", "scratch", "auto"]
Engine = Literal["auto", "openvino", "onnxruntime", "torch"]
Precision = Literal["auto", "f32", "bf16"]
Device = Literal["auto", "cpu", "cuda"]
AugmentOn = Literal["auto", "cpu", "device"]
Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
Schedule = Literal["constant", "step", "cosine", "one_cycle"]
Loss = Literal[
    "auto", "cross_entropy", "binary_cross_entropy", "focal", "half_squared_error", "sum_of_squares", "mse", "mae",
    "perceptron",
]  # fmt: skip
Monitor = Literal["auto", "train_loss", "val_loss", "val_accuracy", "val_auc", "val_mae"]

NETWORK_MODES = ("finetune", "scratch")
MODE_DEFAULTS: dict[str, dict[str, Any]] = {
    "finetune": {
        "batch_size": 32, "precision": "auto", "lr": 5e-4, "warmup_epochs": 1.0, "frozen_stages": "auto",
        "frozen_depthwise": True, "soft_targets": 0.5, "ensemble": "auto", "clip_norm": 5.0,
    },
    "scratch": {"batch_size": 64, "precision": "auto", "warmup_epochs": 1.0},
}  # fmt: skip
"""What an unset key is in these modes, where it differs from the default of the others."""

_Positive = Annotated[float, Field(gt=0.0, lt=float("inf"))]
_AtLeastZero = Annotated[float, Field(ge=0.0, lt=float("inf"))]
_BelowOne = Annotated[float, Field(ge=0.0, lt=1.0)]


class TrainRecipe(Section):
    """How it is trained.

    Attributes:
        mode: "features" (frozen backbone), "finetune" (a trained network goes on learning), "scratch" (a network from
            random numbers) or "auto" (several set-ups within the budget, best on validation).
        budget: Seconds that "auto" may take, as a number or like "90s", "5m", "1h"; with "finetune" and "scratch" those
            of the whole command: as many epochs as fit beside reading, export, test and report.
        engine: What computes features; "auto" probes the installed ones.
        precision: bf16 is faster where the processor has it, and less exact. "auto" (with "finetune" and "scratch",
            and the default there) times both where the processor has bf16 instructions, for a second or a hundredth of
            a long training, at most 10 s.
        threads: Threads for decoding and for the engine; unset: the cores this process may use.
        batch_size: Photos per step of "finetune" and "scratch", 32 and 64 when unset; other modes do not read it.
        views: Augmented views of each training photo in the features mode, where the recipe has [[augment]].
        device: Where a network is trained, or features are computed; "auto" takes a GPU where torch finds one, for
            features where it is the fastest.
        replicas: Parts of a batch that are computed at the same time, each by one thread; 1 leaves the threads to the
            library. "auto" times both.
        compile: Let torch.compile write the network's kernels before the first step, which takes 10 to 50 s; with one
            team of threads. "auto" tries it in a run of half an hour or more (on a GPU five minutes) where replicas are
            "auto" too, and keeps it where it saves more than that.
        num_workers: Threads that assemble the next batches; 0: none. The result is the same for any number.
        augment_on: Where photos are augmented: by the threads that assemble batches ("cpu"), or by torch on the device
            of the network as far as the steps can be ("device"). "auto": "cpu" on a CPU; on a GPU both are timed.
        epochs: Times that every training photo is shown.
        stop_after: End after so many epochs, though the schedule may be made for more; written when a budget was used,
            which is not asked about again.
        lr: Learning rate at the schedule's top; "find" runs a learning-rate finder. 0.0005 for "finetune" when unset.
        optimizer: What turns gradients into steps.
        momentum: Of "sgd" and "rmsprop".
        nesterov: Look ahead along the momentum ("sgd").
        weight_decay: As torch means it: "adamw" takes lr * weight_decay * theta off at each step; the others add
            weight_decay * theta to the gradient, which is l2 = weight_decay / 2.
        l1: Adds l1 * SUM abs(theta) over the kernels to the loss.
        l2: Adds l2 * SUM theta^2 over the kernels to the loss.
        schedule: How the rate moves: "constant", "step" (times step_factor every step_epochs), "cosine" (down to 0),
            "one_cycle" (up for 30 % of the steps, then down).
        warmup_epochs: Epochs, also parts of one, in which the rate rises from 0. 1 for "finetune" and "scratch" when
            unset; a budget measures them.
        step_epochs: Epochs between the drops of "step".
        step_factor: What the rate is multiplied by at each drop.
        loss: What is minimised; "auto": cross-entropy, binary where the network has one output, mse for numbers.
        focal_gamma: How much "focal" turns away from photos that are right already.
        soft_targets: Share of the target that is the answer of a features-mode head which never saw the photo; of
            classes, with "finetune" and given weights. 0.5 for "finetune" when unset.
        ensemble: Answer with the mean of the trained network's and that features-mode head's logits: fewer mistakes,
            and twice the work for each verdict. "auto", the default of "finetune": unless it is worse on the photos
            that choose the epoch, or the network alone is right on all of them.
        price_split: What a random split, which parts groups and near-duplicates, would have claimed: "auto" tells it by
            heads, of a network that learns on its frozen backbone; "train" trains a second network to tell; "off".
        label_smoothing: Share of the target that is spread over all classes.
        class_weights: "balanced" lets each class weigh the same.
        clip_norm: Longest gradient that is taken as it is; 0: none is shortened. Unset: 0, with "finetune" 5.
        accumulate: Steps of the network per step of the optimizer; a batch is cut into so many parts.
        ema: Decay of an average of the weights that is measured and kept instead of them; 0: none.
        head_epochs: First epochs in which only the head learns.
        unfreeze_epochs: After them, epochs between one stage and the next, from the head down; 0: all at once.
        stage_factor: A stage's rate as a multiple of the stage's above it.
        frozen_stages: Stages, counted from the photo, that never learn. "auto", the default of "finetune": three
            where weights are given, else none.
        frozen_depthwise: Depthwise kernels never learn: few weights, and a fifth of a step. True for "finetune" when
            unset, where weights are given.
        batch_norm: "keep" leaves the statistics of BatchNorm layers below the head as the given weights have them,
            "learn" lets them follow the batches; "auto" keeps them with "finetune" where weights are given.
        early_stopping: Epochs without a better `monitor` after which it ends; unset: never.
        monitor: What the best epoch is chosen by; "auto": val_loss, without validation photos train_loss.
        checkpoint_s: Seconds after which progress is saved inside an epoch; it is always saved at its end.
    """

    mode: Mode = "features"
    budget: str | Annotated[float, Field(gt=0)] | None = None
    engine: Engine = "auto"
    precision: Precision = "f32"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 8
    views: Annotated[int, Field(ge=1, le=100)] = 4
    device: Device = "auto"
    replicas: Literal["auto"] | Annotated[int, Field(ge=1, le=64)] = "auto"
    compile: Literal["auto"] | bool = "auto"
    num_workers: Annotated[int, Field(ge=0, le=64)] = 1
    augment_on: AugmentOn = "auto"
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 20
    stop_after: Annotated[int, Field(ge=1, le=100_000)] | None = None
    lr: Literal["find"] | _Positive = 1e-3
    optimizer: Optimizer = "adamw"
    momentum: _BelowOne = 0.9
    nesterov: bool = False
    weight_decay: _AtLeastZero = 0.0
    l1: _AtLeastZero = 0.0
    l2: _AtLeastZero = 0.0
    schedule: Schedule = "cosine"
    warmup_epochs: _AtLeastZero = 0.0
    step_epochs: Annotated[int, Field(ge=1, le=100_000)] = 10
    step_factor: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    loss: Loss = "auto"
    focal_gamma: _AtLeastZero = 2.0
    soft_targets: _BelowOne = 0.0
    ensemble: Literal["auto"] | bool = False
    price_split: Literal["auto", "train", "off"] = "auto"
    label_smoothing: _BelowOne = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    clip_norm: _AtLeastZero | None = None
    accumulate: Annotated[int, Field(ge=1, le=4096)] = 1
    ema: _BelowOne = 0.0
    head_epochs: Annotated[int, Field(ge=0, le=100_000)] = 0
    unfreeze_epochs: Annotated[int, Field(ge=0, le=100_000)] = 0
    stage_factor: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    frozen_stages: Literal["auto"] | Annotated[int, Field(ge=0, le=1000)] = 0
    frozen_depthwise: bool = False
    batch_norm: Literal["auto", "keep", "learn"] = "auto"
    early_stopping: Annotated[int, Field(ge=1, le=100_000)] | None = None
    monitor: Monitor = "auto"
    checkpoint_s: _Positive = 120.0

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_mode(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            return {**MODE_DEFAULTS.get(str(values.get("mode")), {}), **values}
        return values

    @field_validator("budget")
    @classmethod
    def _budget_is_a_time(cls, budget: str | float | None) -> str | float | None:
        if budget is not None:
            parse_seconds(budget)
        return budget

    @model_validator(mode="after")
    def _keys_fit_together(self) -> TrainRecipe:
        if self.precision == "auto" and self.mode not in NETWORK_MODES:
            raise ValueError(f'precision must be f32 or bf16 in mode "{self.mode}", got auto')
        if self.compile is True and self.replicas not in {"auto", 1}:
            raise ValueError(f"replicas must be 1 beside compile = true, got {self.replicas}")
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise ValueError('nesterov must stand beside optimizer = "sgd" and a momentum above 0')
        if self.batch_size < self.accumulate:
            raise ValueError(f"accumulate must be at most batch_size = {self.batch_size}, got {self.accumulate}")
        return self
