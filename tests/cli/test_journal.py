"""`teliti journal`: whole or not, where a verdict came from, corrections, tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from handmade import even_photo, write_brightness_bundle
from journals import tamper, verdict_entry
from parts import encode_png
from teliti.journal.store import Journal
from teliti.serve.watch import WatchOptions, watch


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The journal of a watch that judged A1 and A2, named by the variable."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "A1.png").write_bytes(encode_png(even_photo(40)))
    (folder / "A2.png").write_bytes(encode_png(even_photo(220)))
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        bundle = write_brightness_bundle(tmp_path / "bundle").path
        watch(bundle, folder, journal=journal, options=WatchOptions(settle_s=0, until_empty=True, operator="Ana"))
    monkeypatch.setenv("TELITI_JOURNAL", str(path))
    return str(path)


@pytest.mark.usefixtures("place")
def test_a_whole_journal(run) -> None:
    code, out, _ = run("journal", "verify")
    assert code == 0
    assert out.startswith("The journal is whole: 5 records.\nhead 5:")
    kept = run("journal", "head")[1].strip()
    assert run("journal", "verify", "--expect", kept)[0] == 0
    assert json.loads(run("journal", "head", "--json")[1])["position"] == 5


def test_a_damaged_journal_is_an_unmet_gate_that_names_the_record(run, place: str) -> None:
    """S22: exit code 3, the first bad record, and the same as JSON."""
    tamper(place, "UPDATE teliti_journal SET verdict = 'pass' WHERE position = 4")
    code, out, err = run("journal", "verify")
    assert (code, out) == (3, "")
    assert "error: Record 4 was changed: its content does not give its hash." in err
    code, out, _ = run("journal", "verify", "--json")
    assert code == 3
    assert json.loads(out)["problem"]["position"] == 4


def test_a_cut_journal_is_found_by_a_head_kept_elsewhere(run, place: str) -> None:
    kept = run("journal", "head")[1].strip()
    with Journal(place) as journal:
        fourth = journal.at(4)
    end = f"UPDATE teliti_journal_head SET position = 4, hash = '{fourth['hash']}'"
    tamper(place, "DELETE FROM teliti_journal WHERE position = 5", end)
    assert run("journal", "verify")[0] == 0
    code, _, err = run("journal", "verify", "--expect", kept)
    assert code == 3
    assert "Record 5 was removed." in err


@pytest.mark.usefixtures("place")
def test_a_head_of_another_form(run) -> None:
    code, _, err = run("journal", "verify", "--expect", "abc")
    assert code == 2
    assert "--expect must look like POSITION:HASH, got 'abc'." in err


def test_no_journal_there(run, tmp_path: Path) -> None:
    """R28: one line with the next step; nothing is made."""
    code, _, err = run("journal", "verify", "--journal", str(tmp_path / "none.sqlite"))
    assert code == 2
    assert "There is no journal at" in err
    assert not (tmp_path / "none.sqlite").exists()


def test_a_file_that_is_no_database_is_a_failure(run, tmp_path: Path) -> None:
    (tmp_path / "none.sqlite").write_bytes(b"something else" * 99)
    assert run("journal", "verify", "--journal", str(tmp_path / "none.sqlite"))[0] == 1


@pytest.mark.usefixtures("place")
def test_trace_tells_every_fact(run, tmp_path: Path) -> None:
    """S23: on a terminal and as JSON."""
    run("journal", "correct", "A1", "--label", "bright", "--by", "Eva", "--why", "glare")
    code, out, _ = run("journal", "trace", "A1")
    assert code == 0
    for said in ("A1: pass", str(tmp_path / "in" / "A1.png"), "score 0.157", "threshold 0.500", "Ana", "model SHA-256",
                 "training run", "data SHA-256", "code version", "bright, says Eva, record 6: glare"):  # fmt: skip
        assert said in " ".join(out.split()).replace(" , ", ", ") or said in out.replace("\n", "")
    record = json.loads(run("journal", "trace", "A1", "--json")[1])
    assert record["verdicts"][0]["corrections"][0]["operator"] == "Eva"
    code, _, err = run("journal", "trace", "A9")
    assert code == 2
    assert 'no verdict of the serial number "A9"' in err


def test_trace_shows_a_changed_record(run, place: str) -> None:
    tamper(place, "UPDATE teliti_journal SET operator = 'Eve' WHERE serial = 'A1'")
    assert "CHANGED: its content does not give its hash" in run("journal", "trace", "A1")[1]


@pytest.mark.usefixtures("place")
def test_corrections_become_a_label_file(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run("journal", "correct", "A2", "--label", "dark", "--by", "Eva")
    assert (code, out) == (0, 'Record 6: "A2" is dark, says Eva.\n')
    monkeypatch.chdir(tmp_path)
    code, out, err = run("journal", "feedback")
    assert (code, out) == (0, "path,label\nin/A2.png,dark\n")
    assert "1 corrected photos." in err
    code, out, _ = run("journal", "feedback", "--into", str(tmp_path / "desk"), "--json")
    assert json.loads(out)["file"] == str(tmp_path / "desk" / "corrections.csv")
    rows = list(csv.DictReader((tmp_path / "desk" / "corrections.csv").read_text().splitlines()))
    assert (tmp_path / "desk" / rows[0]["path"]).is_file()
    monkeypatch.chdir(tmp_path / "bundle")
    code, out, err = run("journal", "feedback")
    assert out == "path,label\n"
    assert "A2.png: left out, it lies outside" in err


@pytest.mark.usefixtures("place")
def test_a_wrong_label(run) -> None:
    code, _, err = run("journal", "correct", "A2", "--label", "drak", "--by", "Eva")
    assert code == 2
    assert 'Did you mean "dark"?' in err


@pytest.mark.usefixtures("place")
def test_export(run, tmp_path: Path) -> None:
    code, out, _ = run("journal", "export", "--to", "csv")
    assert code == 0
    assert len(out.splitlines()) == 6
    code, _, err = run("journal", "export", "--to", "csv", "--out", str(tmp_path / "all.csv"))
    assert "5 records in" in err
    assert (tmp_path / "all.csv").read_bytes().startswith(b"position,kind,time")
    code, out, _ = run("journal", "export", "--to", "parquet", "--out", str(tmp_path / "all.parquet"), "--json")
    assert json.loads(out) == {"schema": 1, "file": str(tmp_path / "all.parquet"), "records": 5}
    code, _, err = run("journal", "export", "--to", "parquet")
    assert code == 2
    assert "--out must name a file for Parquet" in err


def test_escape_sequences_of_a_name_reach_no_terminal(run, place: str) -> None:
    """R17: what a photo's name holds is written out."""
    with Journal(place) as journal:
        journal.append([verdict_entry(9, photo="\x1b[2Jx.png", serial="A9")])
    out = run("journal", "trace", "A9")[1]
    assert "\x1b" not in out
    assert r"\x1b[2Jx.png" in out
