"""What every test shares: a calm environment, a cache of its own, made-up photos and one trained bundle a run."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

_CALM = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "TELITI_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "UV_PYTHON_DOWNLOADS": "never",
    "NO_MKDOCS_2_WARNING": "1",
    "PYTHONHASHSEED": "0",
}
os.environ.update(_CALM)  # before any numerical library is imported

import pytest  # noqa: E402
from filelock import FileLock  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

from parts import write_parts  # noqa: E402
from postgres import NO_SERVER, find_binaries, running_server  # noqa: E402

_numbers = itertools.count()
_connects = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex")}


def refuse_elsewhere(self: socket.socket, address: tuple) -> None:
    """S7: no test connects to another machine; only addresses of this one can be bound to.

    `make test-offline` shows the same of the processes that tests start.
    """
    if self.family in {socket.AF_INET, socket.AF_INET6}:
        host = address[0]
        with socket.socket(self.family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((host, 0))
            except OSError as error:
                raise AssertionError(f"a test asked for a connection to {host}") from error


def connect_here(self: socket.socket, address: tuple) -> None:
    refuse_elsewhere(self, address)
    _connects["connect"](self, address)


def connect_ex_here(self: socket.socket, address: tuple) -> int:
    refuse_elsewhere(self, address)
    return _connects["connect_ex"](self, address)


socket.socket.connect, socket.socket.connect_ex = connect_here, connect_ex_here

settings.register_profile(
    "teliti",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("teliti")

TINY_RECIPE = {
    "data": {"image_size": 64, "folds": 0},
    "model": {"stages": ["head"], "pooling": "avg", "head": "logistic", "c": 1.0},
    "train": {"engine": "onnxruntime", "threads": 1},
}
"""A job of seconds: one stage, 64 px, one head without a search, the engine that every install has.

The README's example names the same backbone, stages and size, so that one export serves both.
"""


def pytest_configure(config: pytest.Config) -> None:
    """One cache folder for all workers of this run, so that no test reads or fills the user's own."""
    if not hasattr(config, "workerinput"):
        os.environ["TELITI_CACHE"] = tempfile.mkdtemp(prefix="teliti-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the run's cache folder once every worker is done."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["TELITI_CACHE"], ignore_errors=True)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share; whoever fills a part of it holds a lock."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own


@pytest.fixture(scope="session")
def parts_folder(shared_folder: Path) -> Path:
    """48 photos of 48 px: class folders `good` and `scratch`, 24 each. Read only: copy it to change it."""
    folder = shared_folder / "parts"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            write_parts(folder.with_name("parts-writing"), per_class=24)
            folder.with_name("parts-writing").rename(folder)
    return folder


@pytest.fixture(scope="session")
def trained_record(shared_folder: Path, parts_folder: Path) -> dict:
    """The record of one real training on `parts_folder`, made once a run and shared by all workers."""
    kept = shared_folder / "trained.json"
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            import teliti
            from teliti.recipe import parse_recipe

            recipe = parse_recipe(TINY_RECIPE)
            record = teliti.train(str(parts_folder), recipe=recipe, out=shared_folder / "trained")
            kept.write_text(json.dumps(record), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def trained_bundle(trained_record: dict) -> Path:
    """The bundle of `trained_record`. Read only: copy it to change it."""
    return Path(trained_record["bundle"])


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server of this worker, without a database's name."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip(NO_SERVER)
    with running_server(binaries) as url:
        yield url


@pytest.fixture
def new_schema(postgres_server: str) -> Callable[[], str]:
    """A function that makes an empty place in the server's database and gives its URL."""
    import psycopg

    def make() -> str:
        name = f"place_{next(_numbers)}"
        with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
        return f"{postgres_server}/postgres?options=-csearch_path%3D{name}"

    return make
