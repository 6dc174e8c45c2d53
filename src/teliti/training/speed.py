"""What a run leaves open, decided before its first step and written into its options, so that a replay asks nothing.

In this order: the device; how small a batch must be cut to fit the memory; bf16 or f32, and one team of threads or a
replica for each, by timing real steps for a second, for a long run up to ten; on a GPU, where photos are augmented
(`augment_choice`); for a long run, whether torch.compile earns its seconds back (`compiling`); how many epochs fit a
budget. Weights are always laid out channels last (1.6 times on a CPU).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from teliti.errors import RecipeError
from teliti.recipe.sections import parse_seconds
from teliti.recipe.train import Precision, TrainRecipe
from teliti.runtime import default_threads, keep_freed_memory
from teliti.training.augment_choice import choose_place, is_place_open, settled_place
from teliti.training.batches import Batch, InputMaker, TrainingData, epoch_batches
from teliti.training.budget import PLANNED_SHARE, has_open_budget
from teliti.training.compiling import Trial, choose_compiled, is_trial_open
from teliti.training.cpu_layers.swapping import give_fast_layers
from teliti.training.losses import Objective
from teliti.training.parallel import Processes, draws_global_randomness, processes_here
from teliti.training.steps import Stepper
from teliti.types import Record

PROBE_SECONDS = 1.0
_LONGEST_PROBE, _PROBE_SHARE = 10.0, 0.01  # seconds, and the part of a long training that goes into its probe
_CONTROL_GROUP = Path("/sys/fs/cgroup")
_MEMORY_SHARE = 0.7  # of what is free
_BACKWARD = 1.5  # memory of a whole step over that of the activations that are kept for it
_FEWEST_A_PART = 4
_MOST_ROUNDS = 12
_COLD_STEPS = 2  # of compiled kernels: the second one records them on a GPU
_RISK_OF_ONE_TEAM = 1.1
_VALIDATION_COST = 1 / 3  # of a training step, for one photo
_BF16_UNITS = ("avx512_bf16", "amx_bf16")
_BF16_IN_VECTORS = (*_BF16_UNITS, "avx512_bw", "avx_ne_convert", "bf16")  # it may pay; the last one is ARM's


@dataclass(frozen=True)
class Choice:
    """Options without "auto", and what they were chosen by.

    Attributes:
        options: Resolved.
        probe: One record per candidate: precision, replicas, photos_per_s, chosen; and one for each place where photos
            could be augmented: augment_on, photos_per_s, chosen.
    """

    options: TrainRecipe
    probe: tuple[Record, ...] = ()


def with_values(options: TrainRecipe, **values: Any) -> TrainRecipe:
    """The options with some values replaced, checked again."""
    return TrainRecipe.model_validate({**options.model_dump(), **values})


def processor_precision() -> Precision:
    """bf16 where the processor computes in it, else f32; asks the processor and times nothing, so it never changes."""
    return "bf16" if _has_any(_BF16_UNITS) else "f32"


def has_bf16(device: str) -> bool:
    """Whether the device has any instruction for bf16; a CPU without takes ten to thirty times as long as in f32."""
    return device == "cuda" or _has_any(_BF16_IN_VECTORS)


def _precisions_to_time(options: TrainRecipe) -> list[Precision]:
    if options.precision != "auto":
        return [options.precision]
    return ["f32", "bf16"] if has_bf16(str(options.device)) else ["f32"]


def _has_any(instructions: tuple[str, ...]) -> bool:
    found = torch.cpu.get_capabilities()
    return any(found.get(name) for name in instructions)


def choose_options(
    net: nn.Module, data: TrainingData, options: TrainRecipe, *, objective: Objective, cuts_epochs: bool = True,
    phases: int = 1,
) -> Choice:  # fmt: skip
    """Replace every "auto" of the options; the network is left as it is.

    Args:
        net: On the device of the options, in training mode, weights channels last.
        data: Photos of the real size.
        options: With a device that is not "auto".
        objective: For real steps.
        cuts_epochs: A budget is held against the time of the probe's steps; else the run's own epochs are measured.
        phases: How often other stages learn than before, the first time included.

    Raises:
        RecipeError: replicas are asked for that this network or device cannot have.
    """
    values: dict[str, Any] = {"threads": options.threads or max(1, default_threads() // processes_here())}
    values["accumulate"] = _parts_for_memory(net, data, options)
    values["augment_on"] = settled_place(data, options)
    values["compile"] = options.compile is True
    replicas = [1] if options.compile is True else _possible_replicas(net, data, options, threads=values["threads"])
    candidates = [
        with_values(options, **values, precision=precision, replicas=count)
        for precision in _precisions_to_time(options)
        for count in replicas
    ]
    cuts_epochs = cuts_epochs and has_open_budget(options)
    is_open, is_trial = is_place_open(data, options), is_trial_open(options)
    if len(candidates) == 1 and not cuts_epochs and not is_open and not is_trial:
        return Choice(candidates[0])
    seconds = _time_candidates(net, data, candidates, objective=objective)
    best = _fastest(candidates, seconds)
    probe = tuple(
        {
            "precision": candidate.precision,
            "replicas": candidate.replicas,
            "photos_per_s": round(1.0 / taken, 1),
            "chosen": place == best,
            **({"compiled": True} if candidate.compile is True else {}),
        }
        for place, (candidate, taken) in enumerate(zip(candidates, seconds, strict=True))
    )
    chosen, a_photo = candidates[best], seconds[best]
    if is_trial:
        plan = epoch_batches(data.train, batch_size=chosen.batch_size, seed=0, epoch=0)
        chosen, a_photo, tried = choose_compiled(
            chosen, a_photo=a_photo, planned=_planned_seconds(chosen, data, a_photo),
            kernel_sets=phases * len({len(batch) for batch in plan}),
            try_out=lambda candidate: _try_out(net, data, candidate, objective=objective),
        )  # fmt: skip
        probe = _marked(probe, tried)
    if is_open:
        step = a_photo * min(chosen.batch_size, len(data.train))
        place, places = choose_place(data, chosen, device=torch.device(str(chosen.device)), step=step)
        chosen, probe = with_values(chosen, augment_on=place), probe + places
        a_photo = 1.0 / max(row["photos_per_s"] for row in places)
    return Choice(_within_budget(chosen, data, a_photo) if cuts_epochs else chosen, probe)


@contextmanager
def quiet_torch(options: TrainRecipe) -> Iterator[None]:
    """Torch as a run wants it, and as it was afterwards: threads, kept memory, repeatable kernels, random state.

    Args:
        options: Resolved.
    """
    keep_freed_memory()
    threads, cudnn = torch.get_num_threads(), torch.backends.cudnn
    before = (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32)
    devices = [torch.cuda.current_device()] if options.device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        try:
            cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = True, False, False
            torch.set_num_threads(_team(options))
            yield
        finally:
            torch.set_num_threads(threads)
            cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = before


def bytes_per_photo(net: nn.Module, x: Tensor) -> float:
    """Bytes that a training step keeps for its backward pass, per photo.

    Args:
        net: In training mode; a copy is tried.
        x: (N, C, H, W) float32, at least two photos.
    """
    kept: dict[int, int] = {}
    own = {parameter.data_ptr() for parameter in net.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    probe = copy.deepcopy(net)
    if x.device.type == "cpu":
        give_fast_layers(probe)
    own |= {parameter.data_ptr() for parameter in probe.parameters()}
    with torch.random.fork_rng(devices=[]), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        probe(x)
    return sum(kept.values()) / len(x)


def free_memory(device: str) -> int:
    """Bytes that could be taken now: of the GPU, or of the machine and the process's control group."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    free = [_machine_memory()]
    with suppress(OSError, ValueError, StopIteration):
        limit = int((_CONTROL_GROUP / "memory.max").read_text(encoding="ascii"))
        used = int((_CONTROL_GROUP / "memory.current").read_text(encoding="ascii"))
        free.append(limit - used)  # as it is where nobody tells of files
        stat = (_CONTROL_GROUP / "memory.stat").read_text(encoding="ascii").splitlines()
        cached = next(int(line.split()[1]) for line in stat if line.startswith("inactive_file "))  # files read before
        free[-1] += cached
    return max(0, min(free))


def _machine_memory() -> int:
    with suppress(OSError, StopIteration), Path("/proc/meminfo").open(encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    return 4 * 1024**3  # a system that does not tell


def _parts_for_memory(net: nn.Module, data: TrainingData, options: TrainRecipe) -> int:
    """`accumulate`, raised until one part of a batch fits the memory."""
    device = torch.device("cuda" if options.device == "cuda" else "cpu")
    x = InputMaker(data, device).make(_first_photos(data, 2))
    net.train()
    a_photo = bytes_per_photo(net, x) * _BACKWARD
    fitting = max(1, int(free_memory(device.type) * _MEMORY_SHARE / max(a_photo, 1.0)))
    return max(options.accumulate, -(-options.batch_size // fitting))


def _possible_replicas(net: nn.Module, data: TrainingData, options: TrainRecipe, *, threads: int) -> list[int]:
    if options.device == "cuda":
        if options.replicas not in {"auto", 1}:
            raise RecipeError(f"train.replicas must be 1 on a GPU, got {options.replicas}.", hint="Leave it out.")
        return [1]
    wanted = threads if options.replicas == "auto" else int(options.replicas)
    if wanted == 1:
        return [1]
    x = InputMaker(data, torch.device("cpu")).make(_first_photos(data, 2))
    mixed = draws_global_randomness(net, x)
    if options.replicas != "auto":
        if mixed:
            raise RecipeError(
                f"train.replicas must be 1 for a network that draws random numbers of its own, got {wanted}.",
                hint="Leave it out: threads would make its numbers depend on chance.",
            )
        return [wanted]
    smallest = min(options.batch_size, len(data.train)) // (wanted * options.accumulate)
    return [1] if mixed or smallest < _FEWEST_A_PART else [1, wanted]


def _time_candidates(
    net: nn.Module, data: TrainingData, candidates: list[TrainRecipe], *, objective: Objective
) -> list[float]:
    """Seconds a photo of each candidate: the best of several steps, candidates in turn."""
    steppers = [
        Stepper(copy.deepcopy(net), data, objective, options=candidate, seed=0, processes=Processes())
        for candidate in candidates
    ]
    try:
        started = time.perf_counter()
        batch, bound = _affordable_batch(steppers[0], data, candidates)
        best = [float("inf")] * len(candidates)
        for number in range(1 + _MOST_ROUNDS):
            for place, (stepper, candidate) in enumerate(zip(steppers, candidates, strict=True)):
                taken = _time_step(stepper, candidate, batch)
                if number:  # the first is the warm-up: kernels of this size are made
                    best[place] = min(best[place], taken / batch.total)
            if number and time.perf_counter() - started > bound:
                break
        return best
    finally:
        for stepper in steppers:
            stepper.close()


def _affordable_batch(stepper: Stepper, data: TrainingData, candidates: list[TrainRecipe]) -> tuple[Batch, float]:
    """As many photos of a real step as leave time for a warm-up and two rounds of all candidates; and that time.

    A few photos alone would mislead: bf16 and threads pay with the work that a real step has.
    """
    options = candidates[0]
    whole = max(1, options.batch_size // options.accumulate)
    photos = min(whole, 2 * max(int(candidate.replicas) for candidate in candidates))
    bound = PROBE_SECONDS
    while True:
        batch = _probe_batch(data, photos)
        cold = _time_step(stepper, options, batch)
        planned = _planned_seconds(options, data, cold / photos)
        bound = max(bound, min(_PROBE_SHARE * planned, _LONGEST_PROBE))
        if photos == whole or cold > bound / 3:
            return batch, bound
        warm = _time_step(stepper, options, batch)
        fitting = min(whole, int(photos * bound / (3 * len(candidates)) / warm))
        if fitting <= photos:
            return batch, bound
        photos = min(fitting, 4 * photos)


def _try_out(net: nn.Module, data: TrainingData, compiled: TrainRecipe, *, objective: Objective) -> Trial:
    """Kernels for real batches, and how fast they are."""
    stepper = Stepper(copy.deepcopy(net), data, objective, options=compiled, seed=0, processes=Processes())
    batch = _probe_batch(data, min(compiled.batch_size, len(data.train)))
    try:
        cold = sum(_time_step(stepper, compiled, batch) for _ in range(_COLD_STEPS))
        started, best = time.perf_counter(), float("inf")
        for _ in range(_MOST_ROUNDS):
            best = min(best, _time_step(stepper, compiled, batch))
            if time.perf_counter() - started > PROBE_SECONDS:
                break
        return Trial(cold, best / batch.total)
    finally:
        stepper.close()


def _marked(probe: tuple[Record, ...], tried: tuple[Record, ...]) -> tuple[Record, ...]:
    """All records, of which one is chosen."""
    if any(row["chosen"] for row in tried):
        probe = tuple({**row, "chosen": False} for row in probe)
    return probe + tried


def _planned_seconds(options: TrainRecipe, data: TrainingData, a_photo: float) -> float:
    """Of a whole training, when a photo takes `a_photo` seconds."""
    planned = a_photo * len(data.train) * options.epochs
    return min(planned, parse_seconds(options.budget or 0.0)) if has_open_budget(options) else planned


def _fastest(candidates: list[TrainRecipe], seconds: list[float]) -> int:
    """Place of the fastest; replicas are taken where they are nearly as fast.

    A program that takes a core makes replicas 1.5 to 2 times slower and one team of threads 5 to 20 times.
    """
    worth = [
        taken * (1.0 if int(candidate.replicas) > 1 else _RISK_OF_ONE_TEAM)
        for candidate, taken in zip(candidates, seconds, strict=True)
    ]
    return min(range(len(candidates)), key=worth.__getitem__)


def _time_step(stepper: Stepper, options: TrainRecipe, batch: Batch) -> float:
    with quiet_torch(options):
        started = time.perf_counter()
        stepper.gradients(batch, epoch=0)
        if options.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started


def _probe_batch(data: TrainingData, photos: int) -> Batch:
    indices = np.resize(data.train, photos)
    return Batch(0, indices, torch.from_numpy(np.ascontiguousarray(data.images[indices])), photos)


def _first_photos(data: TrainingData, count: int) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(data.images[np.resize(data.train, count)]))


def _within_budget(options: TrainRecipe, data: TrainingData, seconds_a_photo: float) -> TrainRecipe:
    """Fewer epochs where the budget holds fewer."""
    epoch_s = seconds_a_photo * (len(data.train) + _VALIDATION_COST * len(data.val))
    fitting = int(parse_seconds(options.budget or 0.0) * PLANNED_SHARE / epoch_s)
    return with_values(options, epochs=int(np.clip(fitting, 1, options.epochs)))


def _team(options: TrainRecipe) -> int:
    """OpenMP threads of the main thread: all, or one where replicas bring their own."""
    return int(options.threads or default_threads()) if options.replicas in {"auto", 1} else 1
