"""Archives made to do harm, through the command line and the upload."""

from __future__ import annotations

import io
import os
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from photos import draw_ramp, encode
from served import SOURCE, running_api
from teliti.data.catalog import read_catalog
from teliti.errors import CatalogError

pytestmark = pytest.mark.reliability

PHOTO = encode(draw_ramp(), "PNG")
GOOD = {f"{name}/{number}.png": PHOTO for name in ("ok", "bad") for number in range(2)}
WHOLE = {"control", "slip", "links", "bomb", "many"}
"""Archives whose four good photos are taken all the same."""
LARGEST_UPLOAD = 900_000  # bytes, which the service of the tests takes
_CHECK = """
import sys
from teliti.cli.main import main
from teliti.runtime import peak_memory_bytes
code = main(sys.argv[1:])
print(peak_memory_bytes(), file=sys.stderr)
sys.exit(code)
"""


def pack(members: Mapping[str, bytes], *links: zipfile.ZipInfo) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        for link in links:
            archive.writestr(link, "/etc/passwd")
    return made.getvalue()


def hostile() -> dict[str, bytes]:
    """Archives of four good photos and something else; the first one is the control."""
    link = zipfile.ZipInfo("ok/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    lying = bytearray(pack(GOOD))
    last = lying.rindex(b"PK\x01\x02")
    lying[last + 24 : last + 28] = struct.pack("<I", 2**31)
    overlapping = bytearray(pack(GOOD))
    last = overlapping.rindex(b"PK\x01\x02")
    overlapping[last + 42 : last + 46] = struct.pack("<I", 10)
    nested = pack(GOOD)
    for _ in range(9):
        nested = pack(GOOD | {"ok/again.zip": nested, "again.zip": nested})
    return {
        "control": pack(GOOD),
        "slip": pack(GOOD | {"../outside.png": PHOTO, "/etc/outside.png": PHOTO, "ok/../../outside.png": PHOTO}),
        "links": pack(GOOD, link),
        "lying": bytes(lying),
        "overlapping": bytes(overlapping),
        "bomb": pack(GOOD | {"ok/bomb.bmp": bytes(200_000_000)}),
        "many": pack(GOOD | {f"ok/{number}.txt": b"" for number in range(20_000)}),
        "inside itself": nested,
    }


def test_hostile_archives_leave_nothing_anywhere(tmp_path: Path) -> None:
    """S3: read where they lie: nothing is written, no link is made, 128 MB more than for the control at most."""
    work = tmp_path / "deep" / "work"
    work.mkdir(parents=True)
    (scratch := tmp_path / "scratch").mkdir()
    archives = hostile()
    for name, data in archives.items():
        (work / f"{name}.zip").write_bytes(data)
    before, peaks = sorted(tmp_path.rglob("*")), {}
    for name in archives:
        path = work / f"{name}.zip"
        done = subprocess.run(
            [sys.executable, "-c", _CHECK, "check", str(path), "--json"], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(scratch)}, cwd=work,
        )  # fmt: skip
        assert done.returncode == 0 if name in WHOLE else done.returncode in {0, 2}, (name, done.stderr)
        assert "Traceback" not in done.stderr, name
        peaks[name] = int(done.stderr.split()[-1])
        try:
            photos = len(read_catalog(str(path)).samples)
        except CatalogError:
            assert name not in WHOLE
        else:
            assert photos == 4 if name in WHOLE else photos <= 4, name
    assert not list(scratch.iterdir())
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/etc/outside.png").exists()
    assert all(peak - peaks["control"] <= 128 * 1024**2 for peak in peaks.values()), peaks


def test_an_archive_is_no_upload(tmp_path: Path) -> None:
    """S3: the service takes photos alone; an archive is none, hostile or not."""
    before = set(tmp_path.rglob("*"))
    with running_api(tmp_path, has_journal=False) as api:
        made = set(tmp_path.rglob("*")) - before
        for name, data in hostile().items():
            if len(data) > LARGEST_UPLOAD:
                continue  # refused for its size, by tests of their own
            answer = api.predict(data)
            assert answer.status_code == 422, name
            assert answer.json()["photos"][0]["verdict"] == "refused", name
        assert set(tmp_path.rglob("*")) == before | made
