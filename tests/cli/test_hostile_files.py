"""Files made to do harm, through every door of the command line: nothing runs, nothing is written, no traceback."""

from __future__ import annotations

import io
import json
import pickle
import random
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from handmade import write_brightness_bundle
from mutants import open_mutants
from served import DARK, running_api
from teliti.bundle import MANIFEST, MODEL
from teliti.errors import PhotoRefused
from teliti.files import sha256_hex
from teliti.predictor import Predictor

SOURCE = Path(__file__).parents[2] / "src"


def zip_of(members: dict[str, bytes], *, links: dict[zipfile.ZipInfo, bytes] | None = None) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**members, **(links or {})}.items():
            archive.writestr(name, data)
    return made.getvalue()


class Marker:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.write_text, (self.place, "ran")


def pickles(place: Path) -> dict[str, bytes]:
    """One bait in every wrapping: bare, as torch and TorchScript archives, numpy, and what joblib and Keras write."""
    bait = pickle.dumps(Marker(place))
    array = io.BytesIO()
    np.save(array, np.array([Marker(place)], dtype=object), allow_pickle=True)
    return {
        "bare.pkl": bait,
        "torch.pt": zip_of({"archive/data.pkl": bait, "archive/version": b"3"}),
        "script.pt": zip_of({"m/data.pkl": bait, "m/code/__torch__.py": b"", "m/constants.pkl": bait}),
        "array.npy": array.getvalue(),
        "arrays.npz": zip_of({"a.npy": array.getvalue()}),
        "forest.joblib": b"\x80\x04" + bait[2:],
        "net.keras": zip_of({"config.json": b'{"class_name": "Lambda"}', "model.weights.h5": bait}),
        "named.png": bait,
        "named.csv": bait,
        "named.toml": bait,
        "named.zip": bait,
    }


@pytest.mark.parametrize("name", sorted(pickles(Path())))
def test_no_door_unpickles(run, name: str, tmp_path: Path) -> None:
    """S1: refused by content with a sentence, soon; what the bait would write is never there."""
    marker = tmp_path / "marker"
    bait = tmp_path / "bait" / name
    bait.parent.mkdir()
    bait.write_bytes(pickles(marker)[name])
    line = write_brightness_bundle(tmp_path / "line").path
    swapped = write_brightness_bundle(tmp_path / "swapped").path
    _replace_file(swapped, MODEL, bait.read_bytes())
    kept = tmp_path / "kept"
    kept.mkdir()
    for kind in ("run.json", "recipe.toml", "study.journal"):
        (kept / kind).write_bytes(bait.read_bytes())
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'[model]\nbackbone = "resnet18"\nweights = "{bait}"\n', encoding="utf-8")
    doors = (
        ("predict", str(line), str(bait)),
        ("predict", str(bait), str(bait)),
        ("predict", str(swapped), str(bait)),
        ("info", str(bait)),
        ("info", str(swapped), "--self-test"),
        ("check", str(bait)),
        ("check", str(bait.parent)),
        ("recipe", "show", "--recipe", str(bait)),
        ("train", str(bait), "--out", str(tmp_path / "run"), "--recipe", str(recipe)),
        ("journal", "verify", "--journal", str(bait)),
        ("serve", str(swapped), "--port", "0", "--no-journal"),
        ("serve", str(bait), "--port", "0", "--no-journal"),
        ("watch", str(swapped), str(bait.parent), "--once"),
        ("train", "--resume", str(kept)),
        ("tune", str(bait), "--trials", "1", "--out", str(tmp_path / "search")),
        ("tune", "--resume", str(kept)),
    )
    for words in doors:
        began = time.process_time()
        code, _, err = run(*words)
        assert time.process_time() - began <= 5, words  # 1 s and the first loading of libraries
        assert "Traceback" not in err, words
        refused = code == 0 and words[0] in {"predict", "check"}  # a photo that is none is counted and named
        assert refused or code in {1, 2}, (words, err)
        assert not marker.exists(), words


def test_no_upload_and_no_call_unpickles(tmp_path: Path) -> None:
    """S1: the service and Python, with each bait as a photo: refused by content, with a second of work at most."""
    baits, marker = pickles(tmp_path / "marker"), tmp_path / "marker"
    with running_api(tmp_path, has_journal=False) as api:
        api.predict(DARK)
        predictor = Predictor.open(api.bundle)
        for name, bait in baits.items():
            began = time.process_time()
            (photo,) = api.predict(bait, f"?name={name}").json()["photos"]
            with pytest.raises(PhotoRefused):
                predictor.predict([bait])
            assert time.process_time() - began <= 1, name
            assert photo["verdict"] == "refused", name
            assert not marker.exists(), name


def test_the_bait_is_alive(tmp_path: Path) -> None:
    """The control: whoever unpickles one of them leaves the marker."""
    for name, data in pickles(tmp_path / "marker").items():
        if name in {"bare.pkl", "named.png", "forest.joblib"}:
            pickle.loads(data)
            assert (tmp_path / "marker").read_text() == "ran", name
            (tmp_path / "marker").unlink()


@pytest.mark.parametrize(("kind", "count", "least"), [("manifests", 500, 250), ("photos", 1500, 400)])
def test_mutants_open_or_are_refused(kind: str, count: int, least: int, tmp_path: Path) -> None:
    """S2: files changed by their structure: a bundle, a photo or a sentence, never another exception."""
    opened, refused = open_mutants(kind, tmp_path, count=count, seed=2)
    assert opened + refused == count
    assert refused > least


@pytest.mark.slow
def test_mutants_of_a_network_end_no_process(tmp_path: Path) -> None:
    """S2: 2,000 changed network files with their new hash in the manifest: opened and computed, or a sentence."""
    line = write_brightness_bundle(tmp_path / "line")
    good = line.model_path.read_bytes()
    chance = random.Random(2)
    script = tmp_path / "open_all.py"
    script.write_text(_OPEN_ALL, encoding="utf-8")
    for number in range(2000):
        raw = bytearray(good)
        for _ in range(chance.randint(1, 8)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        (tmp_path / f"{number:04d}.onnx").write_bytes(
            bytes(raw[: chance.choice((len(raw), chance.randrange(len(raw))))])
        )
    done = subprocess.run(
        [sys.executable, str(script), str(line.path), str(tmp_path)], env={"PYTHONPATH": str(SOURCE)},
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    opened, refused = map(int, done.stdout.splitlines()[-1].split())  # the engine prints, too
    assert opened + refused == 2000
    assert refused > 600


_OPEN_ALL = """
import json, sys
from pathlib import Path
from teliti.bundle import MANIFEST, MODEL
from teliti.errors import TelitiError
from teliti.files import sha256_hex
from teliti.predictor import Predictor
line, folder = map(Path, sys.argv[1:])
manifest = json.loads((line / MANIFEST).read_text())
opened = refused = 0
for path in sorted(folder.glob("*.onnx")):
    data = path.read_bytes()
    (line / MODEL).write_bytes(data)
    manifest["files"][MODEL] = sha256_hex(data)
    (line / MANIFEST).write_text(json.dumps(manifest))
    try:
        Predictor.open(line, threads=1).self_test()
        opened += 1
    except TelitiError:
        refused += 1
print(opened, refused)
"""


@pytest.mark.parametrize("verb", ["check", "train"])
def test_archives_put_nothing_anywhere(run, verb: str, tmp_path: Path) -> None:
    """S3: an archive is read where it lies; members that lead outside, links and bombs are refused, the tree stays."""
    link = zipfile.ZipInfo("good/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    members = {"../../outside.png": b"x", "/etc/outside.png": b"x", "good/a.png": b"no photo", "bomb.bmp": bytes(10**7)}
    work = tmp_path / "deep" / "er"
    work.mkdir(parents=True)
    (work / "data.zip").write_bytes(zip_of(members, links={link: b"/etc/passwd"}))
    before = sorted(tmp_path.rglob("*"))
    code, _, err = run(verb, str(work / "data.zip"), *(["--out", str(tmp_path / "run")] if verb == "train" else []))
    assert code in ({0, 2} if verb == "check" else {2})
    assert "Traceback" not in err
    assert sorted(path for path in tmp_path.rglob("*") if "run" not in path.parts) == before
    assert not Path("/etc/outside.png").exists()


def test_a_wrong_label_file_imports_nothing(run, tmp_path: Path) -> None:
    """R22: exit code 2, every error with its line in one pass, and nothing half imported."""
    (tmp_path / "a.png").write_bytes(DARK)
    (tmp_path / "labels.csv").write_text("path,label\na.png,ok\ngone.png,ok\na.png\n../b.png,bad\n")
    before = sorted(tmp_path.iterdir())
    code, _, err = run("train", str(tmp_path / "labels.csv"), "--out", str(tmp_path / "run"))
    assert code == 2
    assert [line for line in (3, 4, 5) if f'"labels.csv" line {line}: ' not in " ".join(err.split())] == []
    assert "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


def test_an_address_is_never_fetched(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S7: whatever takes a place takes no address of the net for one."""

    def connect(*_: object) -> None:
        raise AssertionError("something asked for a connection")

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("socket.getaddrinfo", connect)
    line = str(write_brightness_bundle(tmp_path / "line").path)
    address = "http://127.0.0.1:9/a.png"
    for words in (
        ("predict", line, address), ("predict", address, line), ("check", address), ("evaluate", line, address),
        ("train", address, "--out", str(tmp_path / "run")), ("info", address), ("recipe", "show", "--recipe", address),
    ):  # fmt: skip
        code, _, err = run(*words)
        assert code == 2, (words, err)
        assert "Traceback" not in err


def _replace_file(bundle: Path, name: str, data: bytes) -> None:
    (bundle / name).write_bytes(data)
    manifest = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
    manifest["files"][name] = sha256_hex(data)
    (bundle / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
