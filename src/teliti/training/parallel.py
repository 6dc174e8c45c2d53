"""One batch on several threads or several processes: parts of it are computed side by side and their gradients added.

Replicas: each part of a batch has a Python thread with one OpenMP thread and a copy of the network that shares the
weights. Threads of one OpenMP team wait for each other hundreds of times a step, which costs ten times the speed when
another program takes a core; these wait once. Gradients are added in the order of the parts. BatchNorm sees its own
part only, as in torch's DistributedDataParallel; the statistics that are kept are those of the first part.
Processes: the same over torch.distributed (started by `torchrun`); every process has the same order of photos.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from teliti.runtime import is_loopback
from teliti.training.meeting import listen_at, require_trust, stay_on_this_machine

T = TypeVar("T")
_NAMES = "surrogateescape"  # of files, which need not be UTF-8
_WORTH_SHARING = 1 << 20  # numbers; waking a thread for fewer costs more than it saves


@dataclass(frozen=True)
class Processes:
    """This process among those that share each batch.

    Attributes:
        rank: Its number, from 0; the first one writes files.
        world: How many there are.
    """

    rank: int = 0
    world: int = 1

    def sum_tensors(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, summed in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(summed.view(tensor.shape))

    def sum_numbers(self, numbers: Sequence[float], device: torch.device) -> list[float]:
        """Each number summed over all processes, in float64."""
        if self.world == 1:
            return list(numbers)
        summed = torch.tensor(numbers, dtype=torch.float64, device=device)
        dist.all_reduce(summed)
        return [float(number) for number in summed]

    def copy_from_first(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by the first process's."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def text_from_first(self, text: str, device: torch.device) -> str:
        """The first process's text."""
        return self.bytes_from_first(_to_bytes(text), device).decode(errors=_NAMES)

    def bytes_from_first(self, data: bytes, device: torch.device) -> bytes:
        """The first process's bytes."""
        return self._bytes_from(0, data, device)

    def texts(self, text: str, device: torch.device) -> list[str]:
        """The text of every process, in their order."""
        found = [self._bytes_from(rank, _to_bytes(text), device) for rank in range(self.world)]
        return [one.decode(errors=_NAMES) for one in found]

    def _bytes_from(self, source: int, data: bytes, device: torch.device) -> bytes:
        if self.world == 1:
            return data
        length = torch.tensor([len(data)], device=device)
        dist.broadcast(length, src=source)
        sent = torch.zeros(int(length), dtype=torch.uint8, device=device)
        if self.rank == source and data:
            sent.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
        if int(length):
            dist.broadcast(sent, src=source)
        return sent.cpu().numpy().tobytes()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            dist.barrier()


@contextmanager
def join_processes(device: torch.device) -> Iterator[Processes]:
    """The processes that `torchrun` started, or this one alone; joined for the length of the block.

    Args:
        device: Decides the transport: gloo on a CPU, nccl on a GPU.

    Raises:
        UserError: they are to meet where other machines reach them; see `require_trust`.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    own = not dist.is_initialized()
    if own:
        _meet("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        if own:
            dist.destroy_process_group()


def _meet(transport: str) -> None:
    """Join the process group that the environment describes."""
    host, world = os.environ.get("MASTER_ADDR", ""), int(os.environ["WORLD_SIZE"])
    if is_loopback(host) or processes_here() == world:
        stay_on_this_machine()
    else:
        require_trust(host)
    if not host or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":  # torchrun's own process has the store
        dist.init_process_group(transport)
        return
    rank, port = int(os.environ["RANK"]), int(os.environ["MASTER_PORT"])
    first = {"is_master": True, "master_listen_fd": listen_at(host, port)} if rank == 0 else {}
    open_store: Any = dist.TCPStore  # type: ignore[attr-defined]
    store = open_store(host, port, world, wait_for_workers=False, **first)
    dist.init_process_group(transport, store=store, rank=rank, world_size=world)


def processes_here() -> int:
    """How many of the processes share this machine's cores."""
    here = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return int(here) if here.isdigit() and int(here) else 1


class Replicas:
    """A network and its copies that share the weights; each has a thread.

    Args:
        net: The network; the first replica.
        count: How many; 1 computes in the caller's thread.
    """

    def __init__(self, net: nn.Module, count: int) -> None:
        self.nets = [net, *(_sharing_copy(net) for _ in range(count - 1))]
        self._parameters = [list(own.parameters()) for own in self.nets]  # a walk over the modules costs 0.1 ms a step
        self._pool = None
        if count > 1:
            self._pool = ThreadPoolExecutor(count - 1, "teliti-train", initializer=torch.set_num_threads, initargs=(1,))
            self._generators = [give_own_dropout(own) for own in self.nets]

    @property
    def count(self) -> int:
        """How many."""
        return len(self.nets)

    def seed(self, seeds: Sequence[int]) -> None:
        """Seed the randomness inside the networks, one number a replica."""
        if self._pool is None:
            torch.default_generator.manual_seed(seeds[0])  # torch.manual_seed notes where it was called from: 0.2 ms
            if next(self.nets[0].parameters()).is_cuda:
                torch.cuda.manual_seed(seeds[0])
            return
        for generator, seed in zip(self._generators, seeds, strict=True):
            generator.manual_seed(seed)

    def run(self, work: Callable[[int], T], jobs: int) -> list[T]:
        """`work(0) ... work(jobs - 1)`, side by side, the caller's thread being one of them; results in order."""
        found, numbers = dict[int, T](), iter(range(jobs))

        def take_turns() -> None:
            for number in numbers:
                found[number] = work(number)

        helpers = min(self.count, jobs) - 1
        others = [] if self._pool is None else [self._pool.submit(take_turns) for _ in range(helpers)]
        try:
            take_turns()
        finally:
            wait(others)
        for other in others:
            other.result()
        return [found[number] for number in range(jobs)]

    def forget_gradients(self) -> None:
        """Drop the gradients of all replicas."""
        for parameters in self._parameters:
            for parameter in parameters:
                parameter.grad = None

    def collect_gradients(self) -> None:
        """Add the copies' gradients to the network's, in the order of the replicas."""
        for copied in self._parameters[1:]:
            sums, addends = list[Tensor](), list[Tensor]()
            for first, other in zip(self._parameters[0], copied, strict=True):
                if other.grad is None:
                    continue
                if first.grad is None:
                    first.grad = other.grad
                else:
                    sums.append(first.grad)
                    addends.append(other.grad)
            self._add(sums, addends)

    def _add(self, sums: Sequence[Tensor], addends: Sequence[Tensor]) -> None:
        parts = self.shares(sums)

        def work(number: int) -> None:
            own = parts[number]
            torch._foreach_add_([sums[place] for place in own], [addends[place] for place in own])

        self.run(work, len(parts))

    def shares(self, tensors: Sequence[Tensor]) -> list[list[int]]:
        """Positions of tensors, in a part for each replica with about as many numbers each; few are in one part."""
        sizes = [tensor.numel() for tensor in tensors]
        if self.count == 1 or sum(sizes) < _WORTH_SHARING:
            return [list(range(len(sizes)))] if sizes else []
        parts, filled = [list[int]() for _ in range(self.count)], [0] * self.count
        for place in sorted(range(len(sizes)), key=sizes.__getitem__, reverse=True):
            emptiest = filled.index(min(filled))
            parts[emptiest].append(place)
            filled[emptiest] += sizes[place]
        return [part for part in parts if part]

    def gradients(self) -> list[Tensor]:
        """The network's gradients, of the parameters that have one."""
        return [parameter.grad for parameter in self._parameters[0] if parameter.grad is not None]

    def close(self) -> None:
        """Stop the threads and leave the network as it was."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            take_own_dropout(self.nets[0])


def _to_bytes(text: str) -> bytes:
    return text.encode(errors=_NAMES)


def give_own_dropout(net: nn.Module) -> torch.Generator:
    """Let the dropout layers of a network draw from one generator of its own instead of torch's global one."""
    first = next(net.parameters(), None)
    generator = torch.Generator(device=torch.device("cpu") if first is None else first.device)
    for module in net.modules():
        if isinstance(module, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d):
            module.__dict__["forward"] = partial(_drop, module, generator)  # hides the class's for this one layer
    return generator


def take_own_dropout(net: nn.Module) -> None:
    """Undo `give_own_dropout`."""
    for module in net.modules():
        if isinstance(module, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d):
            module.__dict__.pop("forward", None)


def draws_global_randomness(net: nn.Module, x: Tensor) -> bool:
    """True when a training step draws from torch's global generator, whose order threads would mix up.

    Args:
        net: Left as it is; a copy is tried, with dropout of its own.
        x: (N, C, H, W) float32, a few photos.
    """
    probe = copy.deepcopy(net).train()
    give_own_dropout(probe)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        before = torch.get_rng_state()
        probe(x)
        return not torch.equal(before, torch.get_rng_state())


def _sharing_copy(net: nn.Module) -> nn.Module:
    own = copy.deepcopy(net)
    for mine, shared in zip(own.parameters(), net.parameters(), strict=True):
        mine.data = shared.data
    return own


def _drop(module: Any, generator: torch.Generator, x: Tensor) -> Tensor:
    if not module.training or module.p == 0.0:
        return x
    if module.p >= 1.0:
        return x * 0.0
    whole_channels = not isinstance(module, nn.Dropout)
    shape = (*x.shape[:2], *(1,) * (x.ndim - 2)) if whole_channels else x.shape
    kept = torch.empty(shape, device=x.device, dtype=x.dtype).bernoulli_(1.0 - module.p, generator=generator)
    return x * kept.div_(1.0 - module.p)
