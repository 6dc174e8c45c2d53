"""Photos behind an address: the layouts of a folder, in a store in memory and behind file://."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import fsspec
import pytest

from parts import draw_part, encode_png, write_parts
from teliti.data.addresses import AddressOrigin, is_address, list_address
from teliti.data.archives import list_archive
from teliti.data.beside import read_beside
from teliti.data.catalog import list_photos, read_catalog
from teliti.data.origins import BytesOrigin, FileOrigin, ZipOrigin, from_anywhere, require_reach
from teliti.errors import CatalogError, MissingExtraError, PhotoRefused, RunError


@pytest.fixture
def store():
    """An empty store, and a function that puts a file there."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system.pipe_file
    system.store.clear()


def test_an_address_is_no_path() -> None:
    assert all(is_address(text) for text in ("s3://b/x", "file:///x", "zip::s3://b/x.zip"))
    assert not any(is_address(text) for text in ("C:/x", "a/b", "elpv", "://x"))


def test_class_folders_of_a_store_are_a_catalog(store) -> None:
    for name in ("good/1.png", "good/2.png", "bad/3.png", "bad/.hidden.png", ".trash/4.png"):
        store(f"/line/{name}", encode_png(draw_part(1, scratched=False, side=16)))
    catalog = read_catalog("memory://line/")
    assert [(sample.name, sample.label) for sample in catalog.samples] == [
        ("bad/3.png", "bad"), ("good/1.png", "good"), ("good/2.png", "good"),
    ]  # fmt: skip
    origin = pickle.loads(pickle.dumps(catalog.samples[0].origin))
    assert origin == AddressOrigin("memory://line/bad/3.png")
    assert origin.read_bytes() == encode_png(draw_part(1, scratched=False, side=16))


def test_a_label_file_of_a_store_names_photos_beside_it(store) -> None:
    store("/line/a.png", b"a")
    store("/line/deep/b.png", b"b")
    store("/line/labels.csv", b"path,label\na.png,ok\ndeep/b.png,ng\n")
    for address in ("memory://line/labels.csv", "memory://line"):
        assert [(one.name, one.label) for one in read_catalog(address).samples] == [
            ("a.png", "ok"),
            ("deep/b.png", "ng"),
        ]
    with pytest.raises(CatalogError, match=r'"memory://line/others.csv" does not exist'):
        read_catalog("memory://line/others.csv")


def test_photos_to_predict_come_by_folder_and_by_name(store) -> None:
    store("/line/a.png", b"a")
    store("/line/notes.txt", b"n")
    samples, refused = list_photos(["memory://line", "memory://line/a.png"])
    assert [sample.name for sample in samples] == ["memory://line/a.png"]
    assert {(one.name, one.reason) for one in refused} == {
        ("memory://line/notes.txt", "not an image file (.txt)"), ("memory://line/a.png", "given twice"),
    }  # fmt: skip


def test_a_mask_beside_a_photo_of_a_store(store) -> None:
    store("/line/photos/a.png", b"a")
    store("/line/masks/a.png", b"mask")
    origin = AddressOrigin("memory://line/photos/a.png")
    assert read_beside(origin, "../masks/{stem}.png") == b"mask"
    with pytest.raises(PhotoRefused, match="lies outside the store"):
        read_beside(origin, "../../../masks/{stem}.png")
    with pytest.raises(PhotoRefused, match=r'"a-mask\.png" beside it: the file does not exist'):
        read_beside(origin, "{stem}-mask.png")


def _pack(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_a_zip_of_a_store_is_read_in_place_as_one_on_disk_is(store, tmp_path: Path) -> None:
    photos = {f"{place}/{n}.png": encode_png(draw_part(n, scratched=False, side=16)) for n in (1, 2) for place in "ab"}
    (tmp_path / "line.zip").write_bytes(_pack(photos | {"../c.png": b"c"}))
    store("/line/line.zip", (tmp_path / "line.zip").read_bytes())
    by_address, by_path = read_catalog("memory://line/line.zip"), read_catalog(str(tmp_path / "line.zip"))
    assert [(one.name, one.label, one.origin.read_bytes()) for one in by_address.samples] == [
        (one.name, one.label, one.origin.read_bytes()) for one in by_path.samples
    ]
    assert by_address.refused == by_path.refused
    origin = from_anywhere(pickle.loads(pickle.dumps(by_address.samples[0].origin)))
    require_reach(origin)
    assert origin.read_bytes() == photos["a/1.png"]
    samples, refused = list_photos(["memory://line/line.zip"])
    assert [one.name for one in samples] == [f"memory://line/line.zip/{name}" for name in sorted(photos)]
    assert [one.reason for one in refused] == ["the name leads outside the archive"]


def test_a_mask_beside_a_photo_in_a_zip_of_a_store_is_that_of_the_zip_as_it_is_now(store) -> None:
    store("/line/a.zip", _pack({"photos/a.png": b"a", "masks/a.png": b"old"}))
    origin = list_archive("memory://line/a.zip").files["photos/a.png"]
    assert read_beside(origin, "../masks/{stem}.png") == b"old"
    store("/line/a.zip", _pack({"photos/a.png": b"a", "masks/a.png": b"newer"}))
    assert read_beside(origin, "../masks/{stem}.png") == b"newer"


def test_a_zip_of_a_store_that_is_gone_or_none_or_in_a_chain_is_told(store, monkeypatch: pytest.MonkeyPatch) -> None:
    store("/line/a.zip", _pack({"ok/a.png": b"a"}))
    store("/line/b.zip", b"no archive")
    origin = list_archive("memory://line/a.zip").files["ok/a.png"]
    fsspec.filesystem("memory").rm("/line/a.zip")
    with pytest.raises(PhotoRefused, match="the file does not exist"):
        origin.read_bytes()
    for name, reason in (("a", "the file does not exist"), ("b", "damaged, cut short, or not a zip archive")):
        with pytest.raises(CatalogError, match=rf'"memory://line/{name}\.zip" could not be read as a zip .*: {reason}'):
            read_catalog(f"memory://line/{name}.zip")
    for chain in ("zip://::memory://line/b", "zip://a.png::memory://line/b", "zip::memory://line/b.zip"):
        with pytest.raises(CatalogError, match="must be the address of the zip archive itself"):
            read_catalog(chain)
    monkeypatch.setattr("teliti.data.archives.zipfile.ZipFile", lambda _: (_ for _ in ()).throw(EOFError("no luck")))
    with pytest.raises(CatalogError, match=r"could not be read as a zip archive: not readable: no luck"):
        list_archive("memory://line/b.zip")
    monkeypatch.setattr("teliti.runtime.is_installed", lambda _: False)
    with pytest.raises(MissingExtraError, match="fsspec is needed to read photos from an address"):
        list_archive("memory://line/b.zip")


def test_what_the_local_disk_has_is_also_there_by_address(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / "parts", per_class=2)
    by_path, by_address = read_catalog(str(folder)), read_catalog(f"file://{folder}")
    assert [(one.name, one.label, one.origin.read_bytes()) for one in by_address.samples] == [
        (one.name, one.label, one.origin.read_bytes()) for one in by_path.samples
    ]


def test_what_is_not_there_or_has_no_reader_is_told(store, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CatalogError, match='"memory://nowhere" does not exist, or holds no files'):
        list_address("memory://nowhere")
    with pytest.raises(CatalogError, match='"nope://x" must be an address that fsspec can open, got Protocol'):
        list_address("nope://x")
    store("/line/a.png", b"12345")
    monkeypatch.setattr("teliti.data.addresses._MOST_BYTES", 4)
    with pytest.raises(PhotoRefused, match="over the limit of"):
        AddressOrigin("memory://line/a.png").read_bytes()
    monkeypatch.setattr("teliti.runtime.is_installed", lambda _: False)
    with pytest.raises(MissingExtraError, match=r"fsspec is needed to read photos from an address"):
        list_address("memory://line")


def test_a_store_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_, **__):
        raise PermissionError("not  yours.\nreally")

    monkeypatch.setattr(fsspec.filesystem("memory"), "find", fail)
    with pytest.raises(CatalogError, match=r'"memory://line" could not be listed: not yours\. really'):
        list_address("memory://line")
    monkeypatch.setattr(fsspec.filesystem("memory"), "open", fail)
    with pytest.raises(PhotoRefused, match="not readable: not yours"):
        AddressOrigin("memory://line/a.png").read_bytes()


def test_a_machine_that_does_not_see_the_photos_says_so_instead_of_refusing_them(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.zip").touch()
    member = ZipOrigin("a.zip", "a.png", 0, 1, 1, 0, 0)
    for origin in (FileOrigin("a.png"), member, BytesOrigin(b"a"), AddressOrigin("memory://line/a.png")):
        require_reach(from_anywhere(origin))
    assert from_anywhere(member).archive == str(tmp_path / "a.zip")
    for lost in (
        FileOrigin(str(tmp_path / "gone" / "a.png")),
        from_anywhere(ZipOrigin("b.zip", "a.png", 0, 1, 1, 0, 0)),
    ):
        with pytest.raises(RunError, match=r"The machine .* does not see"):
            require_reach(lost)
