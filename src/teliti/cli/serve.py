"""`teliti serve`: answer requests for verdicts over HTTP."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, print_line, stdout_console
from teliti.errors import UserError

if TYPE_CHECKING:
    from teliti.types import Record


@Parameter(name="*")
@dataclass(frozen=True)
class AddressOptions:
    """How the service is reached.

    Attributes:
        host: The address to listen at; any but loop-back needs a token given on purpose.
        port: 0 takes a free one.
        token_file: A file that holds the token. [default: TELITI_TOKEN, or a random one on loop-back]
        allow_host: Further host names that requests may use, for instance behind a proxy.
        max_waiting: Requests in hand; more get 503 and Retry-After.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token_file: Annotated[Path | None, Parameter(metavar="FILE")] = None
    allow_host: Annotated[list[str], Parameter(metavar="NAME", consume_multiple=True, negative="")] = field(
        default_factory=list
    )
    max_waiting: int = 128


DEFAULT_ADDRESS = AddressOptions()


@Parameter(name="*")
@dataclass(frozen=True)
class ComputingOptions:
    """What computes.

    Attributes:
        engine: What runs the network; auto takes the faster one here. Verdicts do not depend on it.
        batch: So many photos that wait share a call of the network at most. [default: as many as is fastest here]
    """

    engine: Literal["auto", "onnxruntime", "openvino"] = "auto"
    batch: Annotated[int | None, Parameter(metavar="PHOTOS")] = None


DEFAULT_COMPUTING = ComputingOptions()


def serve(
    *bundles: str,
    journal: Annotated[str | None, Parameter(metavar="PLACE")] = None,
    no_journal: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    address: AddressOptions = DEFAULT_ADDRESS,
    computing: ComputingOptions = DEFAULT_COMPUTING,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Serve bundles until SIGTERM: POST photos to /v1/predict. What is in hand then is answered.

    Args:
        bundles: A bundle's folder, or NAME=FOLDER; the first one answers requests that name none.
        journal: A path, or postgresql://USER@HOST/DATABASE. [default: TELITI_JOURNAL, or BUNDLE-journal.sqlite]
        no_journal: Keep no record of the verdicts.
        address: How the service is reached.
        computing: What computes.
        output: How to speak.
    """
    from teliti.predictor import MOST_PHOTOS_PER_CALL
    from teliti.serve.models import name_bundles
    from teliti.serve.running import ServeOptions
    from teliti.serve.running import serve as serve_bundles
    from teliti.workflow.journal import open_journal

    if no_journal and journal is not None:
        raise UserError("--journal must stand without --no-journal, got both.", hint="Take one of them.")
    if address.max_waiting < 1:
        raise UserError(f"--max-waiting must be at least 1, got {address.max_waiting}.", hint="The default is 128.")
    if computing.batch is not None and not 1 <= computing.batch <= MOST_PHOTOS_PER_CALL:
        hint = "1 computes each photo alone; without --batch the service takes what is fastest here."
        raise UserError(f"--batch must be 1 to {MOST_PHOTOS_PER_CALL}, got {computing.batch}.", hint=hint)
    folders = name_bundles(bundles)
    beside = next(iter(folders.values())).resolve()
    options = ServeOptions(
        host=address.host,
        port=address.port,
        token_file=address.token_file,
        allow_hosts=tuple(address.allow_host),
        max_waiting=address.max_waiting,
        engine=computing.engine,
        photos_per_call=computing.batch,
    )
    default = beside.with_name(f"{beside.name}-journal.sqlite")
    with _log_on_stderr(logging.ERROR if output.quiet else logging.INFO):
        serve_bundles(
            folders,
            journal=None if no_journal else partial(open_journal, journal, create=True, default=default),
            options=options,
            on_ready=_print_json_now if output.json else _print_ready,
        )
    return 0


def _print_json_now(record: Record) -> None:
    """One JSON document, for whoever waits for it at the other end of a pipe."""
    print_json(record)
    sys.stdout.flush()


def _print_ready(record: Record) -> None:
    console = stdout_console()
    print_line(console, f"Listening at {record['url']}")
    if record["token"] is not None:
        print_line(console, f"Token of this run: {record['token']}")
    for model in record["models"]:
        how = f"{model['engine']}, {model['photos_per_call']} a call"
        print_line(console, f"Model {model['name']}  {model['model_hash'][:12]}  {how}")
    kept = f'Every verdict is kept in "{record["journal"]}".' if record["journal"] else "No verdict is kept."
    print_line(console, kept)
    sys.stdout.flush()


@contextmanager
def _log_on_stderr(level: int) -> Iterator[None]:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    levels = {"teliti.serve": level, "uvicorn.error": logging.ERROR}
    for name, own in levels.items():
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(own)
    try:
        yield
    finally:
        for name in levels:
            logging.getLogger(name).removeHandler(handler)
