"""`teliti watch` as a process and as a command line: streams, exit codes, signals, surroundings."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from handmade import even_photo, write_brightness_bundle
from parts import encode_png
from surroundings import odd_surroundings
from teliti.journal.store import Journal
from watched import start_watch, wait_until

DARK, BRIGHT = encode_png(even_photo(40)), encode_png(even_photo(220))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_brightness_bundle(tmp_path / "bundle").path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "line-1"
    folder.mkdir()
    (folder / "a.png").write_bytes(DARK)
    (folder / "b.png").write_bytes(BRIGHT)
    return folder


@pytest.fixture(autouse=True)
def no_journal_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELITI_JOURNAL", raising=False)


def test_what_is_there_is_judged_and_told(run, bundle: Path, folder: Path, tmp_path: Path) -> None:
    words = ["watch", str(bundle), str(folder), "--once", "--settle", "0"]
    places = [f"pass={tmp_path / 'good'}", f"reject={tmp_path / 'bad'}"]
    code, out, err = run(*words, "--into", *places)
    assert code == 0
    assert out == "3  a.png  pass  score 0.157\n4  b.png  reject  score 0.863\n"
    assert f'Every verdict is kept in "{tmp_path}/line-1-journal.sqlite".' in err
    assert "2 photos: 1 pass, 1 reject. Journal head 5:" in err
    assert (tmp_path / "good" / "a.png").is_file()
    assert run(*words, "--into", *places)[1] == ""


def test_json_is_one_document(run, bundle: Path, folder: Path) -> None:
    code, out, _ = run("watch", str(bundle), str(folder), "--once", "--settle", "0", "--json")
    record = json.loads(out)
    assert code == 0
    assert set(record) == {"schema", "bundle", "folder", "journal", "judged", "refused", "verdicts", "head"}
    assert (record["judged"], record["verdicts"]) == (2, {"pass": 1, "reject": 1})


def test_the_gate(run, bundle: Path, folder: Path) -> None:
    words = ["watch", str(bundle), str(folder), "--once", "--settle", "0", "--patience", "0", "--fail-on", "reject"]
    code, _, err = run(*words, "--quiet")
    assert code == 3
    assert "1 rejected and 0 refused: the gate --fail-on reject is not met." in err
    (folder / "c.png").write_bytes(b"no photo")
    code, _, err = run(*words)
    assert code == 3
    assert "0 rejected and 1 refused" in err
    assert run(*words)[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--into", "pass"], "--into must look like VERDICT=DIR, got 'pass'."),
        (["--into", "pass=a", "pass=b"], '--into must name "pass" once.'),
        (["--into", "rejct=a"], '--into must name a verdict, got "rejct".'),
        (["--serial", "x"], "--serial must have {serial} once"),
        (["--settle", "-1"], "--settle must be seconds, 0 or more, got -1."),
        (["--patience", "inf"], "--patience must be seconds"),
        (["--webhook", "x"], "--webhook must be an http or https URL"),
        (["--mqtt", "x"], "--mqtt must look like mqtt://HOST/TOPIC"),
        (["--journal", "mysql://x/y"], "The journal must be a path for SQLite"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_sentence(run, bundle: Path, folder: Path, words: list[str], said: str) -> None:
    code, _, err = run("watch", str(bundle), str(folder), "--once", *words)
    assert code == 2
    assert said in err
    assert (folder / "a.png").is_file()


def test_a_missing_bundle_or_folder_is_the_users_mistake(run, bundle: Path, folder: Path) -> None:
    """R28: one line with the next step, exit code 2."""
    code, _, err = run("watch", str(bundle / "nowhere"), str(folder), "--once")
    assert (code, err.count("\n")) == (2, 2)
    assert "is not a bundle" in err
    code, _, err = run("watch", str(bundle), str(folder / "nowhere"), "--once")
    assert code == 2
    assert "must be an existing folder" in err


def test_sigterm_ends_in_order(bundle: Path, folder: Path, tmp_path: Path) -> None:
    """R27 for the watch: the photos in hand are finished, exit 0, and the stop is recorded."""
    good = tmp_path / "good"
    process = start_watch(bundle, folder, "--settle", "0", "--into", f"pass={good}")
    wait_until((good / "a.png").is_file, seconds=60, process=process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) == (0, False)
    assert "a.png  pass" in out
    with Journal(tmp_path / "line-1-journal.sqlite", create=False) as journal:
        assert list(journal.records())[-1]["kind"] == "stop"


def test_control_c_is_130(bundle: Path, folder: Path, tmp_path: Path) -> None:
    good = tmp_path / "good"
    process = start_watch(bundle, folder, "--settle", "0", "--into", f"pass={good}")
    wait_until((good / "a.png").is_file, seconds=60, process=process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_journal_that_cannot_grow_stops_with_1_and_passes_nothing(bundle: Path, folder: Path, tmp_path: Path) -> None:
    """S24: the disk is full for the journal (a limit on file sizes): exit 1, a sentence, every photo stays."""
    good, place = tmp_path / "good", tmp_path / "journal.sqlite"
    Journal(place).close()
    words = ["-m", "teliti", "watch", str(bundle), str(folder), "--journal", str(place), "--settle", "0",
             "--into", f"pass={good}", "--once"]  # fmt: skip
    process = start_watch("--help")
    process.communicate()
    limit = place.stat().st_size

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    result = subprocess.run(
        [process.args[0], *words], capture_output=True, text=True, preexec_fn=bound, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )  # fmt: skip
    assert result.returncode == 1
    assert "could not be" in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "b.png"]
    assert not list(good.glob("*"))


@pytest.mark.parametrize("language", ["tr_TR", "de_DE"])
def test_odd_surroundings_change_nothing(language: str, bundle: Path, folder: Path, tmp_path: Path) -> None:
    """R31: another language, another time zone, umask 077, read-only home: the same numbers, times in UTC."""
    before = os.umask(0o077)
    try:
        process = start_watch(
            bundle, folder, "--once", "--settle", "0", "--into", f"pass={tmp_path / 'good'}", "--json",
            **odd_surroundings(tmp_path, language),
        )  # fmt: skip
        out, err = process.communicate(timeout=60)
    finally:
        os.umask(before)
    assert process.returncode == 0, err
    assert json.loads(out)["judged"] == 2
    assert stat.S_IMODE((tmp_path / "good").stat().st_mode) == 0o700
    with Journal(tmp_path / "line-1-journal.sqlite", create=False) as journal:
        record = next(journal.records(kind="verdict"))
        assert record["time"].endswith("+00:00")
        assert record["score"] == pytest.approx(40 / 255)
        assert journal.verify()["whole"]
