"""Questions to the journal: trace, corrections, feedback that a training reads, tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet
import pytest

from handmade import even_photo, write_brightness_bundle
from journals import tamper, verdict_entry
from parts import encode_png
from teliti.data.catalog import read_catalog
from teliti.errors import MissingExtraError, UserError
from teliti.files import hash_file, sha256_hex
from teliti.journal.entry import Entry
from teliti.journal.store import Journal
from teliti.serve.watch import WatchOptions, watch
from teliti.workflow.journal import correct, feedback, open_journal, trace
from teliti.workflow.journal_export import csv_lines, write_parquet
from teliti.workflow.shared.kept_photos import find_kept_photo, kept_names

PHOTOS = {"A1.png": encode_png(even_photo(40)), "A2.png": encode_png(even_photo(220))}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """The journal of a watch that judged A1 (pass, moved) and A2 (reject, left in the folder)."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, data in PHOTOS.items():
        (folder / name).write_bytes(data)
    bundle = write_brightness_bundle(tmp_path / "bundle").path
    options = WatchOptions(into={"pass": tmp_path / "good"}, operator="Ana", settle_s=0, until_empty=True)
    with Journal(tmp_path / "journal.sqlite") as journal:
        watch(bundle, folder, journal=journal, options=options)
        yield journal


def test_trace_from_serial_number_to_photo_model_and_run(journal: Journal, tmp_path: Path) -> None:
    """S23: one call from a part to picture hash, model hash, provenance, operator and threshold."""
    (verdict,) = trace(journal, "A1")["verdicts"]
    assert verdict["photo_at"] == str(tmp_path / "good" / "A1.png")
    assert verdict["photo_hash"] == sha256_hex(PHOTOS["A1.png"])
    assert verdict["intact"]
    assert (verdict["operator"], verdict["threshold"]) == ("Ana", 0.5)
    assert verdict["model"]["provenance"] == {"made": "by hand"}
    assert verdict["model"]["model_hash"] == hash_file(tmp_path / "bundle" / "model.onnx")
    assert trace(journal, "A2")["verdicts"][0]["photo_at"] == str(tmp_path / "in" / "A2.png")


def test_trace_shows_a_changed_record_and_an_exchanged_photo(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "good" / "A1.png").write_bytes(PHOTOS["A2.png"])
    tamper(journal.shown, "UPDATE teliti_journal SET verdict = 'reject' WHERE serial = 'A1'")
    (verdict,) = trace(journal, "A1")["verdicts"]
    assert not verdict["intact"]
    assert verdict["photo_at"] is None


def test_an_unknown_part(journal: Journal) -> None:
    with pytest.raises(UserError, match='The journal has no verdict of the serial number "A9"'):
        trace(journal, "A9")


def test_a_correction_is_a_record_of_its_own(journal: Journal) -> None:
    record = correct(journal, "A1", label="bright", by="Eva", why="glare")
    (verdict,) = trace(journal, "A1")["verdicts"]
    assert (verdict["label"], verdict["verdict"]) == ("dark", "pass")
    assert verdict["corrections"] == [record]
    assert (record["operator"], record["label"], record["reason"]) == ("Eva", "bright", "glare")
    assert journal.verify()["whole"]


def test_a_label_that_the_model_does_not_know_needs_a_word(journal: Journal) -> None:
    with pytest.raises(UserError, match=r'--label must be one of dark, bright, got "brigth"\. Did you mean "bright"'):
        correct(journal, "A1", label="brigth", by="Eva")
    with pytest.raises(UserError, match="Use --new-class"):
        correct(journal, "A1", label="scratch", by="Eva")
    assert correct(journal, "A1", label="scratch", by="Eva", new_class=True)["label"] == "scratch"
    with pytest.raises(UserError, match="--label and --by must not be empty"):
        correct(journal, "A1", label="dark", by=" ")


def test_a_part_of_several_photos_needs_the_photo(journal: Journal) -> None:
    journal.append([verdict_entry(7, photo="top.png"), verdict_entry(7, photo="side.png")])
    with pytest.raises(UserError, match=r'The part "A7" has 2 photos\. Add --photo: side\.png, top\.png'):
        correct(journal, "A7", label="dark", by="Eva")
    with pytest.raises(UserError, match=r'The part "A7" has no photo "back\.png"'):
        correct(journal, "A7", label="dark", by="Eva", photo="back.png")
    assert correct(journal, "A7", label="dark", by="Eva", photo="top.png")["photo"] == "top.png"


def test_feedback_is_a_label_file_that_a_training_reads(journal: Journal, tmp_path: Path) -> None:
    correct(journal, "A1", label="dark", by="Eva")
    correct(journal, "A1", label="bright", by="Ida")
    correct(journal, "A2", label="dark", by="Eva")
    record = feedback(journal, root=tmp_path)
    assert record["rows"] == [{"path": "good/A1.png", "label": "bright"}, {"path": "in/A2.png", "label": "dark"}]
    lines = ["path,label", *(f"{row['path']},{row['label']}" for row in record["rows"])]
    (tmp_path / "corrections.csv").write_text("\n".join(lines))
    catalog = read_catalog(str(tmp_path / "corrections.csv"))
    assert [(sample.name, sample.label) for sample in catalog.samples] == [
        ("good/A1.png", "bright"),
        ("in/A2.png", "dark"),
    ]
    assert catalog.samples[0].origin.read_bytes() == PHOTOS["A1.png"]


def test_photos_outside_are_named_or_copied(journal: Journal, tmp_path: Path) -> None:
    correct(journal, "A1", label="bright", by="Eva")
    (tmp_path / "desk").mkdir()
    (left,) = feedback(journal, root=tmp_path / "desk")["left_out"]
    assert "--into FOLDER copies it" in left["reason"]
    record = feedback(journal, root=tmp_path / "desk", into=tmp_path / "desk" / "photos")
    (row,) = record["rows"]
    assert (tmp_path / "desk" / row["path"]).read_bytes() == PHOTOS["A1.png"]
    assert feedback(journal, root=tmp_path / "desk", into=tmp_path / "desk" / "photos")["rows"] == [row]


def test_a_photo_that_is_gone_is_left_out_by_name(journal: Journal, tmp_path: Path) -> None:
    correct(journal, "A1", label="bright", by="Eva")
    (tmp_path / "good" / "A1.png").unlink()
    record = feedback(journal, root=tmp_path)
    assert record["left_out"] == [{"photo": "A1.png", "reason": "its photo was moved or deleted by hand"}]


def test_a_path_that_a_spreadsheet_would_run_starts_with_a_dot(journal: Journal, tmp_path: Path) -> None:
    """S11: no cell of the label file is a formula, and the path still leads to the photo."""
    (tmp_path / "=in").mkdir()
    (tmp_path / "=in" / "x.png").write_bytes(PHOTOS["A1.png"])
    digest = sha256_hex(PHOTOS["A1.png"])
    entry = verdict_entry(9, photo="x.png", photo_hash=digest, details={"folder": str(tmp_path / "=in")})
    journal.append([entry])
    correct(journal, "A9", label="dark", by="Eva")
    assert feedback(journal, root=tmp_path)["rows"] == [{"path": "./=in/x.png", "label": "dark"}]


def test_csv_has_every_record_and_no_formula(journal: Journal) -> None:
    """S11: a serial number that a spreadsheet would run gets an apostrophe."""
    journal.append([verdict_entry(5, serial="=cmd()", operator="Eva, Ida\n")])
    rows = list(csv.DictReader(io.StringIO("".join(csv_lines(journal)), newline="")))
    assert [int(row["position"]) for row in rows] == list(range(1, journal.head().position + 1))
    assert (rows[-1]["serial"], rows[-1]["operator"]) == ("'=cmd()", "Eva, Ida\n")
    assert rows[-1]["hash"] == journal.head().hash
    assert float(rows[-1]["score"]) == 0.05


def test_parquet_has_every_record(journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teliti.workflow.journal_export._ROWS", 2)
    count = write_parquet(journal, tmp_path / "journal.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "journal.parquet")
    assert count == table.num_rows == journal.head().position
    assert table.column("hash").to_pylist() == [record["hash"] for record in journal.records()]
    assert str(table.schema.field("score").type) == "double"


def test_where_a_photo_may_be_kept() -> None:
    assert kept_names("a.png", "0123456789abcdef") == ("a.png", "a-0123456789ab.png")
    record = {"photo": "a.png", "photo_hash": None, "details": {}}
    assert find_kept_photo(record) is None
    assert find_kept_photo({**record, "photo_hash": "0" * 64}) is None


def test_the_place_of_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELITI_JOURNAL", raising=False)
    with pytest.raises(UserError, match=r"The journal must be named\. Give --journal"):
        open_journal(None)
    monkeypatch.setenv("TELITI_JOURNAL", str(tmp_path / "line.sqlite"))
    with open_journal(None, create=True, default=tmp_path / "other.sqlite") as journal:
        journal.append([Entry("start", "x")])
        assert journal.shown == str(tmp_path / "line.sqlite")


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teliti.workflow.journal.is_installed", lambda library: library != "sqlalchemy")
    with pytest.raises(MissingExtraError, match=r'remembers what was judged.*pip install "teliti\[serve\]"'):
        open_journal("journal.sqlite")
