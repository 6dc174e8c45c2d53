"""The watch folder in this process: judged once, moved, told; and the safe state whenever something fails."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from handmade import even_photo, write_brightness_bundle
from parts import encode_png
from receivers import running_hook
from teliti.bundle import MANIFEST, MODEL
from teliti.errors import BundleError, RunError, StorageError, UserError
from teliti.journal.store import Journal
from teliti.predictor import Prediction, Predictor
from teliti.serve.notify import Webhook
from teliti.serve.watch import WatchOptions, watch

DARK, BRIGHT = encode_png(even_photo(40)), encode_png(even_photo(220))


class Line:
    """A bundle, a watched folder, a place for each verdict, a journal."""

    def __init__(self, root: Path, journal: Journal) -> None:
        self.bundle = write_brightness_bundle(root / "bundle").path
        self.folder = root / "in"
        self.folder.mkdir()
        self.places = {verdict: root / verdict for verdict in ("pass", "reject", "refused")}
        self.journal = journal
        self.options = WatchOptions(into=self.places, settle_s=0, patience_s=0, poll_s=0.01, until_empty=True)

    def drop(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)

    def watch(self, **changes: object) -> dict:
        known = {name: changes.pop(name) for name in ("receivers", "stop", "on_verdict") if name in changes}
        return watch(self.bundle, self.folder, journal=self.journal, options=replace(self.options, **changes), **known)

    def verdicts(self) -> list[tuple[str, str | None]]:
        return [(record["photo"], record["verdict"]) for record in self.journal.records(kind="verdict")]

    def listing(self) -> dict[str, list[str]]:
        folders = {"in": self.folder, **self.places}
        return {name: sorted(os.listdir(path)) for name, path in folders.items() if path.is_dir()}  # noqa: PTH208


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    with Journal(tmp_path / "journal.sqlite") as journal:
        yield Line(tmp_path, journal)


def test_each_photo_gets_its_verdict_its_record_and_its_place(line: Line) -> None:
    line.drop("a.png", DARK)
    line.drop("b.png", BRIGHT)
    line.drop("c.png", b"no photo")
    seen: list[str] = []
    found = line.watch(operator="Ana", on_verdict=lambda record: seen.append(record["photo"]))
    assert (found["judged"], found["refused"]) == (3, 1)
    assert found["verdicts"] == {"pass": 1, "reject": 1, "refused": 1}
    assert line.listing() == {"in": [], "pass": ["a.png"], "reject": ["b.png"], "refused": ["c.png"]}
    model, start, dark, bright, broken, stop = line.journal.records()
    assert [record["kind"] for record in (model, start, stop)] == ["model", "start", "stop"]
    assert seen == ["a.png", "b.png", "c.png"]
    assert (dark["serial"], dark["operator"], dark["threshold"]) == ("a", "Ana", 0.5)
    assert dark["score"] == pytest.approx(40 / 255)
    assert bright["probs"]["bright"] == pytest.approx(220 / 255)
    assert dark["details"]["into"] == str(line.places["pass"])
    assert "not an image" in broken["reason"]
    assert broken["score"] is None
    assert found["head"] == str(line.journal.head())


def test_what_was_judged_is_not_judged_again(line: Line) -> None:
    line.drop("a.png", DARK)
    assert line.watch(into={})["judged"] == 1
    assert line.watch(into={})["judged"] == 0
    assert line.watch(into={})["judged"] == 0
    assert line.verdicts() == [("a.png", "pass")]
    assert len(list(line.journal.records(kind="model"))) == 1


def test_a_name_with_another_photo_is_another_photo(line: Line) -> None:
    line.drop("a.png", DARK)
    line.watch()
    line.drop("a.png", encode_png(even_photo(41)))
    line.watch()
    assert line.verdicts() == [("a.png", "pass"), ("a.png", "pass")]
    assert len(line.listing()["pass"]) == 2


def test_a_move_that_was_cut_off_is_finished(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between journal and move: the verdict is there, so the next start only moves."""
    line.drop("a.png", BRIGHT)
    with monkeypatch.context() as broken:
        broken.setattr("teliti.serve.places.Places.put", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            line.watch()
    assert line.listing()["in"] == ["a.png"]
    assert line.verdicts() == [("a.png", "reject")]
    assert line.watch()["judged"] == 0
    assert line.listing()["reject"] == ["a.png"]
    assert line.verdicts() == [("a.png", "reject")]


def test_kept_photos_are_linked_and_judged_once(line: Line) -> None:
    line.drop("a.png", DARK)
    line.watch(keep=True)
    assert line.watch(keep=True)["judged"] == 0
    assert line.listing() == {"in": ["a.png"], "pass": ["a.png"], "reject": [], "refused": []}


def test_a_half_written_photo_is_not_judged(line: Line) -> None:
    line.drop("a.png", DARK[: len(DARK) // 2])
    stop = threading.Event()
    thread = threading.Thread(
        target=lambda: line.watch(stop=stop, patience_s=60, until_empty=False, on_verdict=lambda _: stop.set())
    )
    thread.start()
    thread.join(0.3)
    assert line.verdicts() == []
    line.drop("a.png", DARK)
    thread.join(20)
    assert not thread.is_alive()
    assert line.verdicts() == [("a.png", "pass")]


def test_links_and_pipes_are_refused_and_left(line: Line) -> None:
    """R16: neither is opened; both are recorded, once."""
    os.mkfifo(line.folder / "pipe.png")
    (line.folder / "link.png").symlink_to("/dev/zero")
    assert line.watch()["refused"] == 2
    assert line.watch()["refused"] == 0
    assert sorted(line.verdicts()) == [("link.png", "refused"), ("pipe.png", "refused")]
    assert line.listing()["in"] == ["link.png", "pipe.png"]


@pytest.mark.skipif(os.name == "nt", reason="names of Windows are always text")
def test_hostile_names_are_judged_and_moved(line: Line) -> None:
    """R17: quotes, markup, formulas and bytes that are not UTF-8 in a photo's name."""
    names = ["=cmd().png", 'a"b\n.png', "<b>.png", os.fsdecode(b"\xff\xfe.png"), "\u202eevil.png"]
    for number, name in enumerate(names):
        line.drop(name, encode_png(even_photo(10 + number)))
    assert line.watch()["judged"] == len(names)
    assert line.listing()["pass"] == sorted(names)
    assert line.watch()["judged"] == 0
    assert line.journal.verify()["whole"]


def test_serial_numbers_come_from_the_name(line: Line) -> None:
    line.drop("cam1_A17_top.png", DARK)
    line.drop("other.png", BRIGHT)
    line.watch(serial="cam?_{serial}_*")
    assert [record["serial"] for record in line.journal.records(kind="verdict")] == ["A17", None]


def test_receivers_are_told_after_a_restart(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between move and telling: the next start tells, with the id of the record."""
    line.drop("a.png", DARK)
    with running_hook() as hook:
        with monkeypatch.context() as broken:
            broken.setattr(Webhook, "send", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                line.watch(receivers=[Webhook(hook.url)])
        line.watch(receivers=[Webhook(hook.url)])
        assert [record["photo"] for record in hook.posted] == ["a.png"]
        assert hook.keys == [next(line.journal.records(kind="verdict"))["hash"]]


def test_two_watches_of_one_folder_judge_each_photo_once(line: Line, tmp_path: Path) -> None:
    for number in range(20):
        line.drop(f"{number}.png", encode_png(even_photo(10 + number)))
    failures: list[Exception] = []

    def run() -> None:
        try:
            with Journal(tmp_path / "journal.sqlite") as journal:
                watch(line.bundle, line.folder, journal=journal, options=line.options)
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(line.verdicts()) == 20
    assert len(line.listing()["pass"]) == 20
    assert line.journal.verify()["whole"]


def remove_model(line: Line) -> None:
    (line.bundle / MODEL).unlink()


def replace_manifest(line: Line) -> None:
    data = (line.bundle / MANIFEST).read_bytes()
    (line.bundle / MANIFEST).unlink()
    (line.bundle / MANIFEST).write_bytes(data)


def remove_journal(line: Line) -> None:
    Path(line.journal.shown).unlink()


def remove_place(line: Line) -> None:
    (line.places["pass"] / "a.png").rename(line.folder.parent / "a.png")
    line.places["pass"].rmdir()


def remove_folder(line: Line) -> None:
    line.folder.rename(line.folder.parent / "away")


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (remove_model, RunError, "The bundle .* was changed or removed"),
        (replace_manifest, RunError, "The bundle .* was changed or removed"),
        (remove_journal, StorageError, "was removed or replaced while it was in use"),
        (remove_place, StorageError, "could not be written"),
        (remove_folder, RunError, "cannot be read"),
    ],
)  # fmt: skip
def test_a_fault_on_the_way_stops_the_line_and_passes_nothing(
    line: Line, fault: Callable[[Line], None], kind: type[Exception], said: str
) -> None:
    """S24, R29: bundle, journal, place or folder fail while photos come: the watch ends, later photos stay."""
    line.drop("a.png", DARK)

    def break_it(_: dict) -> None:
        fault(line)
        if line.folder.is_dir():
            line.drop("b.png", encode_png(even_photo(41)))

    with pytest.raises(kind, match=said) as caught:
        line.watch(on_verdict=break_it, until_empty=False)
    assert caught.value.exit_code == 1
    listing = line.listing()
    assert listing.get("pass", []) in ([], ["a.png"])
    if line.folder.is_dir():
        assert listing["in"] == ["b.png"]


def test_the_reason_of_a_stop_is_recorded(line: Line) -> None:
    """S24: the gap is in the journal: when it stopped, and why."""
    line.drop("a.png", DARK)
    with pytest.raises(RunError):
        line.watch(on_verdict=lambda _: remove_model(line), until_empty=False)
    assert "was changed or removed" in list(line.journal.records(kind="stop"))[-1]["reason"]


def test_an_answer_that_is_no_number_never_passes(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """R21: NaN is below every threshold; it is refused, not passed."""
    line.drop("a.png", DARK)
    nan = Prediction("pass", "dark", {"dark": float("nan")}, float("nan"))
    monkeypatch.setattr(Predictor, "predict_samples", lambda _, samples: [(0, nan) for _ in samples])
    line.watch()
    assert line.verdicts() == [("a.png", "refused")]
    assert line.listing()["pass"] == []


def test_a_bundle_that_fails_its_own_test_does_not_start(line: Line) -> None:
    """R29: golden photos with another answer than the recorded one."""
    manifest = json.loads((line.bundle / MANIFEST).read_text())
    manifest["golden"][0]["outputs"] = [0.5, 0.5]
    (line.bundle / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="fails its self-test: a golden photo is off by"):
        line.watch()
    assert line.verdicts() == []


def test_a_damaged_bundle_does_not_start(line: Line) -> None:
    (line.bundle / MODEL).write_bytes(b"damaged")
    with pytest.raises(BundleError, match="is damaged"):
        line.watch()


def test_mistakes_are_named_before_the_first_photo(line: Line) -> None:
    line.drop("a.png", DARK)
    with pytest.raises(UserError, match=r'--into must name a verdict, got "rejct"\. Did you mean "reject"\?'):
        line.watch(into={"rejct": line.folder.parent / "x"})
    with pytest.raises(UserError, match="must be an existing folder"):
        watch(line.bundle, line.folder / "nowhere", journal=line.journal)
    assert line.verdicts() == []


def test_a_regression_measures(line: Line, tmp_path: Path) -> None:
    line.bundle = write_brightness_bundle(tmp_path / "numbers", is_regression=True).path
    line.drop("a.png", DARK)
    assert line.watch()["verdicts"] == {"measured": 1}
    (record,) = line.journal.records(kind="verdict")
    assert (record["verdict"], record["score"], record["probs"]) == (None, pytest.approx(40), {})
    assert line.listing()["in"] == ["a.png"]
