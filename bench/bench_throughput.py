"""Training throughput: our loop beside plain torch, Keras on TensorFlow and on torch, and fastai.

    make bench ARGS="throughput --write"
    python bench/bench_throughput.py FOLDER PART...    # measure some parts and keep them; without a part: list them
    THROUGHPUT_PARTS=FOLDER make bench ARGS="throughput --write"    # a page of the parts that lie there

A part is one network with all its sides. Every side is a process of its own (training_sides.py) that trains for a few
seconds when it is told to; sides take turns, and a ratio is of the same round. On a machine that others use too, the
parts can be measured one by one when it is calm; a page of them names those that it lacks.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
PEERS, SCRIPT, LEVERS = (
    ROOT / ".venv-peers",
    ROOT / "bench" / "training_sides.py",
    ROOT / "bench" / "training_levers.py",
)
BATCH = 32
ROUNDS = {"small CNN": 9}  # of the others, whose steps are long: 5
KERAS = ("Keras + TensorFlow", "Keras + TensorFlow, bf16", "Keras + torch")
IN_PEERS = {*KERAS, "fastai"}
BF16 = {"Keras + TensorFlow, bf16", "bf16", "ReLU and pooling in whole numbers"}  # they need it
PEAKS = ("peak, f32", "peak, bf16")
COMPILED = "torch.compile in their place"


@dataclass(frozen=True)
class Part:
    """What is measured together.

    Attributes:
        network: A name that all sides know.
        pixels: Side of the photos.
        others: The sides beside ours and the bare steps; with "levers" what is left out of ours.
        kind: Every side calm, or calm and then busy, or ours with each lever left out.
        precision: Of ours: "f32", or what the probe chooses.
    """

    network: str
    pixels: int
    others: tuple[str, ...]
    kind: Literal["calm", "busy", "levers"] = "calm"
    precision: Literal["auto", "f32"] = "auto"


PARTS = {
    "small CNN 64": Part("small CNN", 64, ("plain torch", *KERAS)),
    "small CNN 128": Part("small CNN", 128, ("plain torch", *KERAS)),
    "resnet50 128": Part("resnet50", 128, ("plain torch", *KERAS)),
    "resnet18 128": Part("resnet18", 128, ("plain torch", "fastai")),
    "efficientnet_lite0 128": Part("tf_efficientnet_lite0", 128, ("plain torch",)),
    "busy, small CNN 128": Part("small CNN", 128, ("plain torch", "Keras + TensorFlow"), "busy"),
    "levers, small CNN 64": Part("small CNN", 64, (
        "freed memory is kept", "a heap for each thread", "bf16", "a thread for each half of a batch",
        "ReLU behind pooling", "ReLU and pooling in whole numbers", "unseen rows are cropped", COMPILED,
    ), "levers"),
    "levers, small CNN 128": Part(
        "small CNN", 128, ("ReLU and pooling in whole numbers", "unseen rows are cropped"), "levers"
    ),
    "levers, efficientnet_lite0 128": Part("tf_efficientnet_lite0", 128, (
        "a heap for each thread", "bf16", "a thread for each half of a batch", "layers of our own", COMPILED,
    ), "levers"),
}  # fmt: skip
F32_PARTS = {
    f"f32, {name}": replace(part, others=tuple(other for other in part.others if other not in BF16), precision="f32")
    for name, part in PARTS.items()
    if name != "levers, small CNN 128"
} | {
    f"f32, levers, {network} {pixels}": Part(
        network, pixels, ("gradients of kernels as matrix products",), "levers", precision="f32"
    )
    for network, pixels in (("resnet18", 128), ("resnet18", 224), ("resnet50", 128))
}
BURNER = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\nwhile True: pass"
SEAT = {"OMP_WAIT_POLICY", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TELITI_THREADS"}


def run() -> dict:
    """All parts; with THROUGHPUT_PARTS those that were measured into that folder."""
    return page(PARTS, name="Training throughput beside plain torch, Keras and fastai", how="what its own probe chose")


def page(parts: dict[str, Part], *, name: str, how: str) -> dict:
    """The result of some parts.

    Args:
        parts: By name.
        name: The title.
        how: What ours computes in.
    """
    folder = os.environ.get("THROUGHPUT_PARTS")
    kept = {part: _read_part(Path(folder), part) if folder else measure(part) for part in parts}
    found = {part: result for part, result in kept.items() if result is not None}
    rows = [row for part, result in found.items() for row in _ROWS[parts[part].kind](result)]
    vectors = sorted({result["facts"]["ours"]["vectors"] for result in found.values()})
    missing = [part for part in parts if part not in found]
    codes = {result.get("code") for result in found.values()}
    counts = " or ".join(sorted({str(len(rates)) for part in found.values() for rates in part["rounds"].values()}))
    return {
        "name": name,
        "about": f"Adam, batches of {BATCH}, two classes, random weights and photos. Ours is the loop of `teliti "
        f"train` with {how}: an epoch from the decoded uint8 cache (a memory map) to its row in the "
        "history, gradient norm, counts and activity of the units included. The others train on float batches that "
        "wait in memory: plain torch is eager float32 with nothing set, Keras is `compile` and `fit` "
        "(`train_on_batch` on torch) with their defaults, fastai its Learner without validation. Bare steps: our "
        "precision and threads, forward, backward and optimiser on one kept batch, no loop around, in the process of "
        f"ours. Equal numbers of parameters are checked. Each side is a process; {counts} rounds in turn (where "
        "another process keeps one core busy: each side calm, then busy). Medians; ratios are medians of the per-round "
        "ratios. Share of peak: operations of forward and backward pass (three times the forward pass, which torch "
        "counts, without the gradient of the photos; ours and the bare steps leave out rows that no window of the "
        "network reaches, which are not counted then) over the best dense rate that torch reached in the same part, "
        "matrix product or 3x3 convolution, of the side's precision. Ours without a lever: the same loop with that one "
        "left out, so that the ratio is what it gives to the rest; torch.compile stands in the place of our layers and "
        "of a thread for each half, its 10 to 50 s of writing kernels left out. What else was tried and left out: "
        f"decision record 0022. Vector instructions of the processor: {' or '.join(vectors)}."
        + (f" Not measured yet: {'; '.join(missing)}." if missing else "")
        + (f" The parts are of {len(codes)} versions of the code." if len(codes) > 1 else ""),
        "rows": rows,
    }


def _read_part(folder: Path, part: str) -> dict | None:
    file = folder / f"{part}.json"
    return json.loads(file.read_text()) if file.exists() else None


def measure(name: str) -> dict:
    """Rates by side of every round, and what the sides told about themselves."""
    part = {**PARTS, **F32_PARTS}[name]
    where = part.network, part.pixels
    sides: dict[str, Side] = {}
    try:
        sides["ours"] = Side("ours", *where, choice={} if part.precision == "auto" else {"precision": part.precision})
        if part.kind == "levers":
            choice = sides["ours"].facts["choice"]
            lacking = set(BF16) if choice["precision"] == "f32" else set()
            lacking |= {"a thread for each half of a batch"} if choice["replicas"] == 1 else set()
            levers = [name for name in part.others if name not in lacking]
            sides |= {name: Side(name, *where, choice=choice, script=LEVERS) for name in levers}
        else:
            if part.kind == "calm":
                sides["bare steps"] = Beside(sides["ours"], "bare steps")
            peaks = () if part.kind == "busy" else ("peak, f32",) if part.precision == "f32" else PEAKS
            sides |= {name: Side(name, *where) for name in (*part.others, *peaks)}
        _check_equal_networks(sides)
        many = ROUNDS.get(part.network, 5)
        rounds = _busy_rounds(sides, many) if part.kind == "busy" else _calm_rounds(sides, many)
    finally:
        for side in sides.values():
            side.close()
    facts = {side: process.facts for side, process in sides.items()}
    return {"part": name, "code": _code(), "facts": facts, "rounds": rounds}


def _code() -> str:
    """What was measured: a hash of what trains and of this bench."""
    files = sorted([*(ROOT / "src" / "teliti").rglob("*.py"), *(ROOT / "bench").glob("*training*.py"), Path(__file__)])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _calm_rounds(sides: dict[str, Side], many: int) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(many):
        for name, side in sides.items():
            rates[name].append(side.round())
    return rates


def _busy_rounds(sides: dict[str, Side], many: int) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {f"{name}{state}": [] for name in sides for state in (", calm", ", busy")}
    for _ in range(many):
        for name, side in sides.items():
            rates[f"{name}, calm"].append(side.round())
            burner = subprocess.Popen([sys.executable, "-c", BURNER])
            try:
                time.sleep(0.3)
                rates[f"{name}, busy"].append(side.round())
            finally:
                burner.kill()
                burner.wait()
    return rates


def _check_equal_networks(sides: dict[str, Side]) -> None:
    counts = {name: side.facts["parameters"] for name, side in sides.items() if "parameters" in side.facts}
    if len(set(counts.values())) != 1:
        raise SystemExit(f"The networks differ: {counts}.")


def _rows(kept: dict) -> list[dict]:
    rounds, facts = kept["rounds"], kept["facts"]
    ours = rounds["ours"]
    choice = facts["ours"]["choice"]
    how = f"{choice['precision']}, " + ("1 team" if choice["replicas"] == 1 else f"{choice['replicas']} replicas")
    rows = []
    for name, rates in rounds.items():
        if name.startswith("peak"):
            continue
        own = choice["precision"] if name in {"ours", "bare steps"} else "bf16" if "bf16" in name else "f32"
        peak = rounds[f"peak, {own}"]
        flop = facts["ours" if name in {"ours", "bare steps"} else "plain torch"]["flop"]
        share = statistics.median(rate * flop / 1e9 / best for rate, best in zip(rates, peak, strict=True))
        rows.append(
            {
                "network": _network(kept),
                "side": f"ours ({how})" if name == "ours" else name,
                "photos/s": f"{statistics.median(rates):.1f}",
                "best round": f"{max(rates):.1f}",
                "ours is faster by": "-" if name == "ours" else f"{_ratio(ours, rates):.2f}",
                "share of peak": f"{share:.2f}",
            }
        )
    reached = {peak.removeprefix("peak, "): statistics.median(rounds[peak]) for peak in PEAKS if peak in rounds}
    peaks = ", ".join(f"{rate:.0f} GFLOP/s {precision}" for precision, rate in reached.items())
    nothing = dict.fromkeys(("photos/s", "best round", "ours is faster by"), "-")
    return [*rows, {"network": _network(kept), "side": f"peak: {peaks}", **nothing, "share of peak": "1.00"}]


def _lever_rows(kept: dict) -> list[dict]:
    rounds = kept["rounds"]
    return [
        {
            "network": _network(kept),
            "side": f"ours, {name}" if name == COMPILED else f"ours without: {name}",
            "photos/s": f"{statistics.median(rates):.1f}",
            "best round": f"{max(rates):.1f}",
            "ours is faster by": f"{_ratio(rounds['ours'], rates):.2f}",
            "share of peak": "-",
        }
        for name, rates in rounds.items()
        if name != "ours"
    ]


def _busy_rows(kept: dict) -> list[dict]:
    rounds = kept["rounds"]
    rows = []
    for name in kept["facts"]:
        calm, busy = rounds[f"{name}, calm"], rounds[f"{name}, busy"]
        rows.append(
            {
                "network": _network(kept),
                "side": f"{name}, one core taken: {_ratio(calm, busy):.1f} times slower than calm",
                "photos/s": f"{statistics.median(busy):.1f}",
                "best round": f"{max(busy):.1f}",
                "ours is faster by": "-" if name == "ours" else f"{_ratio(rounds['ours, busy'], busy):.2f}",
                "share of peak": "-",
            }
        )
    return rows


_ROWS: dict[str, Callable[[dict], list[dict]]] = {"calm": _rows, "busy": _busy_rows, "levers": _lever_rows}


def _network(kept: dict) -> str:
    return kept["part"].rpartition(", ")[2]  # type: ignore[no-any-return]


def _ratio(ours: list[float], others: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, others, strict=True))


class Side:
    """One side's process.

    Attributes:
        facts: What it told when it was ready.
    """

    def __init__(
        self, name: str, network: str, pixels: int, *, choice: dict | None = None, script: Path = SCRIPT
    ) -> None:
        python = _peers_python() if name in IN_PEERS else Path(sys.executable)
        command = [str(python), str(script), name, network, str(pixels), str(BATCH)]
        calm = {key: value for key, value in os.environ.items() if key not in SEAT}  # as a user's shell has it
        self._name = name
        self._process = subprocess.Popen(
            command + ([json.dumps(choice)] if choice else []), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, env={**calm, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        word, _, facts = self._answer().partition(" ")
        if word != "ready":
            raise SystemExit(f"{name} did not start.")
        self.facts = json.loads(facts)

    def round(self, word: str = "round") -> float:
        """Photos per second of one round of what the process knows by that word."""
        print(word, file=self._process.stdin, flush=True)
        photos, seconds = self._answer().split()
        return float(photos) / float(seconds)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> str:
        answer = self._process.stdout.readline().strip()
        if not answer:
            raise SystemExit(f"{self._name} ended without an answer.")
        return answer


class Beside:
    """Something else that another side's process can do.

    Attributes:
        facts: None of its own.
    """

    def __init__(self, side: Side, word: str) -> None:
        self.facts: dict = {}
        self._side, self._word = side, word
        side.round(word)  # made and warm

    def round(self) -> float:
        """Photos per second of one round."""
        return self._side.round(self._word)

    def close(self) -> None:
        """Nothing: the process is the other side's."""


def _peers_python() -> Path:
    """The interpreter of the peers' environment, made on first use from peers.txt."""
    python = PEERS / "bin" / "python"
    quiet = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    uv = [sys.executable, "-m", "uv"]
    if not python.exists():
        subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(PEERS)], check=True, env=quiet)
    wanted = str(ROOT / "bench" / "peers.txt")
    subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), "-r", wanted], check=True, env=quiet)
    return python


def main() -> None:
    """Measure the named parts into a folder."""
    if len(sys.argv) < 3:
        raise SystemExit("\n".join([*PARTS, *F32_PARTS]))
    for part in sys.argv[2:]:
        kept = measure(part)
        (Path(sys.argv[1]) / f"{part}.json").write_text(json.dumps(kept))
        for row in _ROWS[{**PARTS, **F32_PARTS}[part].kind](kept):
            print(*row.values(), sep=" | ", flush=True)


if __name__ == "__main__":
    main()
