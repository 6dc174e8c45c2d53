"""The test of a watch that is killed again and again while photos arrive; one function, run short and long."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from handmade import write_brightness_bundle
from receivers import running_hook
from teliti.files import sha256_hex
from teliti.journal.store import Journal
from watched import drop_photo, expected_verdict, part_name, part_photo, photos_in, start_watch, wait_until


def check_kills(folder: Path, *, photos: int, kills: int, photos_per_second: float) -> None:
    """Photos arrive, the process is killed; afterwards each was judged once, moved, told, and the chain is whole."""
    bundle = write_brightness_bundle(folder / "bundle").path
    drops, place = folder / "in", folder / "journal.sqlite"
    drops.mkdir()
    places = {verdict: folder / verdict for verdict in ("pass", "reject", "refused")}
    camera = threading.Thread(target=_drop_all, args=(drops, photos, photos_per_second))
    chance = random.Random(5)
    with running_hook() as hook:
        words = [bundle, drops, "--into", *(f"{verdict}={path}" for verdict, path in places.items()),
                 "--journal", place, "--settle", "0.2", "--webhook", hook.url, "--quiet"]  # fmt: skip
        camera.start()
        for _ in range(kills):
            seen = photos_in(list(places.values()))
            process = start_watch(*words)
            wait_until(lambda: photos_in(list(places.values())) > seen, seconds=60, process=process)  # noqa: B023
            time.sleep(chance.uniform(0, 0.3))
            process.kill()
            process.communicate()
            assert process.returncode == -signal.SIGKILL
        process = start_watch(*words)
        camera.join()
        wait_until(lambda: photos_in(list(places.values())) == photos, seconds=240, process=process)
        wait_until(lambda: _starts(place) == kills + 1, seconds=60, process=process)  # it may find nothing left to do
        process.terminate()
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, said
        told = Counter(record["photo"] for record in hook.posted)
    names = {part_name(number) for number in range(1, photos + 1)}
    assert set(told) == names
    assert sum(told.values()) <= photos + kills * 16  # told again: the photos in hand at a kill
    assert photos_in([drops]) == 0
    with Journal(place, create=False) as journal:
        found = journal.verify()
        verdicts = list(journal.records(kind="verdict"))
    assert found["whole"], found
    assert _starts(place) == kills + 1
    assert Counter(record["photo"] for record in verdicts) == Counter(names)
    for record in verdicts:
        number = int(record["photo"].removeprefix("part-").removesuffix(".png"))
        assert record["photo_hash"] == sha256_hex(part_photo(number)), "half a photo was judged"
        assert record["verdict"] == expected_verdict(number)
        assert (places[record["verdict"]] / record["photo"]).read_bytes() == part_photo(number)


def _starts(journal_file: Path) -> int:
    with Journal(journal_file, create=False) as journal:
        return len(list(journal.records(kind="start")))


def _drop_all(folder: Path, photos: int, photos_per_second: float) -> None:
    for number in range(1, photos + 1):
        drop_photo(folder, number, pause_s=0.01)
        time.sleep(1 / photos_per_second)
