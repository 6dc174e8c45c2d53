"""Bundles, weights and photos changed at random, and a process that opens them: `python mutants.py KIND ...`.

Half of the changes follow the file's structure (a key or value of its JSON, a size in its header), half are bytes.
Whatever comes out must open or be refused with a sentence: any other exception ends the process.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from handmade import write_brightness_bundle
from parts import draw_part
from teliti.bundle import MANIFEST, open_bundle
from teliti.data.decode import decode_photo
from teliti.errors import TelitiError
from teliti.runtime import peak_memory_bytes

ODD = (None, True, -1, 1e308, float("nan"), "", "../../etc/passwd", "/etc/passwd", [], {}, [[]], "\0", 2**70)
WARM_UP = 50
_EXTREMES = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x01\x00\x00", b"\xff\xff\xff\x7f")
_FORMATS = (".png", ".jpg", ".webp", ".tiff", ".bmp")


def mutate_tree(value: Any, chance: random.Random) -> None:
    """Change one thing somewhere in a tree of dicts and lists: replaced or removed."""
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(value[key], dict | list) and value[key] and chance.random() < 0.7:
            value = value[key]
            continue
        if chance.random() < 0.3:
            del value[key]
        else:
            value[key] = chance.choice(ODD)
        return


def mutate_bytes(data: bytes, chance: random.Random) -> bytes:
    """Bytes and whole numbers overwritten, most near the start; sometimes cut, doubled or stretched."""
    raw = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        reach = len(raw) if chance.random() < 0.5 else min(len(raw), 64)
        at = chance.randrange(reach)
        new = chance.choice(_EXTREMES) if chance.random() < 0.3 else bytes([chance.randrange(256)])
        raw[at : at + len(new)] = new
    end = chance.random()
    if end < 0.1:
        return bytes(raw[: chance.randrange(1, len(raw))])
    return bytes(raw + raw) if end < 0.15 else bytes(raw)


def manifests(folder: Path, chance: random.Random) -> Iterator[Callable[[], object]]:
    """Changed `bundle.json` of a bundle made by hand; each is opened by the function that comes out."""
    write_brightness_bundle(folder)
    good = (folder / MANIFEST).read_text(encoding="utf-8")
    while True:
        mutant = json.loads(good)
        for _ in range(chance.randint(1, 3)):
            mutate_tree(mutant, chance)
        data = json.dumps(mutant).encode()
        (folder / MANIFEST).write_bytes(data if chance.random() < 0.9 else mutate_bytes(data, chance))
        yield lambda: open_bundle(folder)


def photos(_folder: Path, chance: random.Random) -> Iterator[Callable[[], object]]:
    """Changed photos in five formats."""
    plate = draw_part(1, scratched=True, side=24)
    good = [cv2.imencode(suffix, plate)[1].tobytes() for suffix in _FORMATS]
    while True:
        data = mutate_bytes(chance.choice(good), chance)
        yield lambda data=data: decode_photo(data)


def weights(folder: Path, chance: random.Random) -> Iterator[Callable[[], object]]:
    """Changed safetensors files: names, types, shapes and places in the header, and bytes."""
    from safetensors.numpy import save

    from teliti.models.backbones import read_safetensors

    data = save({"a": np.zeros((3, 4), np.float32), "b": np.ones(5, np.int64)}, metadata={"head_behind": "x"})
    length = int.from_bytes(data[:8], "little")
    header, body, path = json.loads(data[8 : 8 + length]), data[8 + length :], folder / "weights.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        mutant = json.loads(json.dumps(header))
        for _ in range(chance.randint(1, 3)):
            mutate_tree(mutant, chance)
        text = json.dumps(mutant).encode()
        said = len(text) if chance.random() < 0.9 else chance.choice((0, 2**63, len(text) + 10**6, len(text) // 2))
        whole = said.to_bytes(8, "little") + text + body
        path.write_bytes(whole if chance.random() < 0.8 else mutate_bytes(whole, chance))
        yield lambda: read_safetensors(path)


KINDS = {"manifests": manifests, "photos": photos, "weights": weights}


def open_mutants(kind: str, folder: Path, *, count: int, seed: int) -> tuple[int, int]:
    """How many of so many mutants opened, and how many were refused.

    Args:
        kind: Of `KINDS`.
        folder: A work folder.
        count: How many.
        seed: Of the changes.
    """
    opened = refused = 0
    for _, attempt in zip(range(count), KINDS[kind](folder, random.Random(seed)), strict=False):
        try:
            attempt()
            opened += 1
        except TelitiError:
            refused += 1
    return opened, refused


def main(kind: str, folder: Path, count: int) -> None:
    """Open mutants, and say what was opened, what was refused, what grew, and which other files were read."""
    outside: set[str] = set()

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str) and not arguments[0].startswith(str(folder)):
            outside.add(arguments[0])

    open_mutants(kind, folder / "warm", count=WARM_UP, seed=1)
    before = peak_memory_bytes()
    sys.addaudithook(listen)
    opened, refused = open_mutants(kind, folder / "work", count=count, seed=2)
    growth = (peak_memory_bytes() or 0) - (before or 0)
    told = {"opened": opened, "refused": refused, "growth": growth, "outside": sorted(outside)}
    sys.stdout.write(f"\n{json.dumps(told)}\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
