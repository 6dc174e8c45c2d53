"""Loss and gradients of one batch, and the outputs for photos that nothing is learnt from.

A batch of one process is cut into `accumulate` parts one after the other and each of those into replicas side by
side. Every part adds SUM weight x loss / photos of the whole step, so that the parts add up to the batch's mean loss.
All randomness of a part follows from seed, epoch, step and the part's place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from teliti.recipe.train import TrainRecipe
from teliti.training.batches import Batch, InputMaker, TrainingData
from teliti.training.compiling import compile_network, compiling_errors, forget_compiled
from teliti.training.cpu_layers.cropping import seen_size
from teliti.training.cpu_layers.folding import find_pairs
from teliti.training.cpu_layers.swapping import give_fast_layers, take_fast_layers
from teliti.training.history import count_right, sum_distance
from teliti.training.losses import Objective
from teliti.training.optim import LayerPenalty, penalty
from teliti.training.parallel import Processes, Replicas
from teliti.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class StepResult:
    """What a batch gave.

    Attributes:
        loss: SUM of the weighted losses of the step's photos, of all processes.
        right: Photos whose class is right, of all processes; 0 for numbers. Of a mixed photo the class with the largest
            share counts, the first of equal ones, and each label that is more than half there.
        distance: SUM of the photos' mean |target - output|, of all processes; 0 for classes.
        photos: Of all processes.
        own_losses: (N,) float64 weighted loss of each photo of this process.
    """

    loss: float
    right: float
    distance: float
    photos: int
    own_losses: FloatArray


class Stepper:
    """Computes batches with one network.

    Args:
        net: On its device, weights channels last.
        data: Photos and targets.
        objective: What is minimised.
        options: Resolved: device, precision, replicas and accumulate are no longer "auto".
        seed: Of the run.
        processes: Who shares each batch.
        layer_penalty: What the network's layers add to the loss of their own.
    """

    def __init__(
        self,
        net: nn.Module,
        data: TrainingData,
        objective: Objective,
        *,
        options: TrainRecipe,
        seed: int,
        processes: Processes,
        layer_penalty: LayerPenalty | None = None,
    ) -> None:
        self.device = torch.device("cuda" if options.device == "cuda" else "cpu")
        self.replicas = Replicas(net, int(options.replicas))
        self._net, self._data, self._objective = net, data, objective
        self._options, self._seed, self._processes = options, seed, processes
        self._layer_penalty, self._unpunished = layer_penalty, -1
        self._targets = objective.targets_for(data.targets, data.task).to(self.device)
        weights = objective.photo_weights(data.targets)
        self._weights = None if weights is None else weights.to(self.device)
        self._whole = InputMaker(data, self.device)
        self._is_compiled = options.compile is True
        self._learners = [compile_network(net, self.device)] if self._is_compiled else self.replicas.nets
        on_cpu = self.device.type == "cpu"
        seen = seen_size(net, self.inputs(data.train[:1])) if on_cpu else None
        self._makers = [InputMaker(data, self.device, seen) for _ in self.replicas.nets]
        if on_cpu and not self._is_compiled:
            self._give_fast_layers(processes.world)

    def _give_fast_layers(self, world: int) -> None:
        net, options, photo = self._net, self._options, self.inputs(self._data.train[:1])
        photos = options.batch_size // (options.accumulate * self.replicas.count * world)
        pairs = find_pairs(net, photo, photos=max(1, photos))
        for own in self.replicas.nets:
            give_fast_layers(own, pairs)

    def gradients(self, batch: Batch, *, epoch: int) -> StepResult:
        """Leave the gradients of a batch's mean loss, penalties included, in the network's parameters."""
        self.replicas.forget_gradients()
        losses, outputs = [], []
        for number, part in enumerate(np.array_split(np.arange(len(batch.indices)), self._options.accumulate)):
            pieces = np.array_split(part, self.replicas.count)
            self.replicas.seed([self._seed_of(epoch, batch.step, number, place) for place in range(len(pieces))])

            def work(place: int, pieces: Sequence[IntArray] = pieces) -> tuple[Tensor, Tensor]:
                with compiling_errors() if self._is_compiled else nullcontext():
                    return self._learn(place, batch, pieces[place])

            for loss, output in self.replicas.run(work, len(pieces)):
                losses.append(loss)
                outputs.append(output)
        self.replicas.collect_gradients()
        if self._processes.rank == 0 and epoch != self._unpunished:  # once: the gradients of all processes are added
            extra = penalty(self._net, self._options, self._layer_penalty)
            if extra is not None:
                extra.backward()  # type: ignore[no-untyped-call]
            else:
                self._unpunished = epoch  # what learns changes between epochs only
        return self._result(batch, torch.cat(losses), torch.cat(outputs))

    def sum_gradients(self) -> list[Tensor]:
        """The gradients of the whole step: this process's and those of the others, added."""
        found = self.replicas.gradients()
        self._processes.sum_tensors(found)
        return found

    def outputs(self, net: nn.Module, indices: IntArray, *, photos_at_once: int) -> tuple[FloatArray, FloatArray]:
        """Outputs and losses of photos, nothing learnt.

        Args:
            net: In evaluation mode.
            indices: (N,) positions.
            photos_at_once: At most so many in one call.

        Returns:
            Outputs (N, K) float64, and the weighted loss (N,) float64 of each photo.
        """
        own = np.array_split(indices, self._processes.world)[self._processes.rank]
        chunks = np.array_split(own, max(1, -(-len(own) // photos_at_once)))

        def work(number: int) -> tuple[Tensor, Tensor]:
            with torch.inference_mode():
                return self._evaluate(net, chunks[number])

        parts = self.replicas.run(work, len(chunks))
        outputs = torch.cat([output for output, _ in parts]).double()
        losses = torch.cat([loss for _, loss in parts]).double()
        return self._gathered(outputs, len(indices)).numpy(), self._gathered(losses, len(indices)).numpy()

    def call(self, net: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Logits (N, K) float32 of (N, C, H, W), computed in the run's precision."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._options.precision == "bf16"):
            logits = net(x)
        return logits.float()

    def inputs(self, indices: IntArray) -> Tensor:
        """(N, C, H, W) float32 of photos without augmentation."""
        images = torch.from_numpy(np.ascontiguousarray(self._data.images[indices]))
        return self._whole.make(images, keep=False)

    def close(self) -> None:
        """Stop the threads, and leave the network as it was."""
        self.replicas.close()
        take_fast_layers(self._net)
        if self._is_compiled:
            forget_compiled()

    def _learn(self, place: int, batch: Batch, piece: IntArray) -> tuple[Tensor, Tensor]:
        first, last = (int(piece[0]), int(piece[-1]) + 1) if len(piece) else (0, 0)
        if first == last:
            nothing = torch.zeros(0, self._objective.num_outputs, device=self.device)
            return nothing.new_zeros(0), nothing
        logits = self.call(self._learners[place], self._makers[place].make(batch.images[first:last]))
        mixed = None if batch.mixed is None else batch.mixed[piece]
        losses = self._losses(logits, torch.from_numpy(batch.indices[piece]), mixed)
        (losses.sum() / batch.total).backward()  # type: ignore[no-untyped-call]
        return losses.detach(), self._objective.outputs(logits.detach())

    def _evaluate(self, net: nn.Module, chunk: IntArray) -> tuple[Tensor, Tensor]:
        if not len(chunk):
            return torch.zeros(0, self._objective.num_outputs), torch.zeros(0)
        logits = self.call(net, self.inputs(chunk))
        return self._objective.outputs(logits).cpu(), self._losses(logits, torch.from_numpy(chunk)).cpu()

    def _losses(self, logits: Tensor, rows: Tensor, mixed: FloatArray | None = None) -> Tensor:
        if mixed is not None:
            return self._objective.mixed_losses(logits, mixed, self._data.task)
        rows = rows.to(self.device)
        losses = self._objective.per_photo(logits, self._targets[rows])
        return losses if self._weights is None else losses * self._weights[rows]

    def _result(self, batch: Batch, losses: Tensor, outputs: Tensor) -> StepResult:
        own, task = losses.double().cpu().numpy(), self._data.task
        targets, values = self._likely_targets(batch), outputs.double().cpu().numpy()
        numbers = task == "regression"
        right = 0.0 if numbers else count_right(values, targets, task)
        distance = sum_distance(values, targets) if numbers else 0.0
        loss, right, distance = self._processes.sum_numbers([float(own.sum()), right, distance], self.device)
        return StepResult(loss, right, distance, batch.total, own)

    def _likely_targets(self, batch: Batch) -> NDArray[Any]:
        """What the outputs are counted against: of mixed photos the class or labels with the larger share."""
        if batch.mixed is None:
            return np.asarray(self._data.targets[batch.indices])
        if self._data.task == "classification":
            return np.asarray(batch.mixed.argmax(axis=1))
        return batch.mixed > 0.5 if self._data.task == "multilabel" else batch.mixed

    def _gathered(self, own: Tensor, count: int) -> Tensor:
        """The rows of all processes in order, from this process's rows."""
        if self._processes.world == 1:
            return own
        places = np.array_split(np.arange(count), self._processes.world)[self._processes.rank]
        whole = torch.zeros((count, *own.shape[1:]), dtype=own.dtype, device=self.device)
        whole[torch.from_numpy(places)] = own.to(self.device)
        self._processes.sum_tensors([whole])
        return whole.cpu()

    def _seed_of(self, *place: int) -> int:
        entropy = (self._seed, self._processes.rank, *place)
        return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))
