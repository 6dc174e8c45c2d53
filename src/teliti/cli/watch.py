"""`teliti watch`: judge the photos of a folder as a camera drops them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from teliti.cli.failures import describe_failure, print_failure
from teliti.cli.output import DEFAULT_OUTPUT, OutputOptions, print_json, print_line, stderr_console, stdout_console
from teliti.errors import GateError, UserError

if TYPE_CHECKING:
    from teliti.serve.notify import Receiver
    from teliti.serve.watch import WatchOptions
    from teliti.types import Record


@Parameter(name="*")
@dataclass(frozen=True)
class LineOptions:
    """What the line is like.

    Attributes:
        serial: How a name tells the serial number, such as "cam1_{serial}_*". [default: the name without its ending]
        operator: Who is at the line; kept in every record.
        settle: A photo counts as written when nothing changed for so long.
        patience: A file that is no whole photo after so long is refused.
        webhook: Post every verdict there as JSON.
        mqtt: Publish every verdict there: mqtt://HOST/TOPIC.
    """

    serial: Annotated[str | None, Parameter(metavar="PATTERN", allow_leading_hyphen=True)] = None
    operator: str | None = None
    settle: Annotated[float, Parameter(metavar="SECONDS")] = 0.5
    patience: Annotated[float, Parameter(metavar="SECONDS")] = 5.0
    webhook: Annotated[str | None, Parameter(metavar="URL")] = None
    mqtt: Annotated[str | None, Parameter(metavar="URL")] = None

    def receivers(self) -> list[Receiver]:
        """Who is told of each verdict."""
        from teliti.serve.notify import Mqtt, Webhook

        told: list[Receiver] = [] if self.webhook is None else [Webhook(self.webhook)]
        return told if self.mqtt is None else [*told, Mqtt(self.mqtt)]


DEFAULT_LINE = LineOptions()


def watch(
    bundle: Path,
    folder: Path,
    /,
    *,
    into: Annotated[list[str] | None, Parameter(metavar="VERDICT=DIR", consume_multiple=True, negative="")] = None,
    keep: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    journal: Annotated[str | None, Parameter(metavar="PLACE")] = None,
    once: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    fail_on: Literal["reject"] | None = None,
    engine: Literal["auto", "onnxruntime", "openvino"] = "auto",
    line: LineOptions = DEFAULT_LINE,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Judge each photo once, in order, when it is completely written; SIGTERM ends it after the photos in hand.

    Args:
        bundle: The bundle's folder.
        folder: Where the camera drops photos; its subfolders are not looked at.
        into: Move photos by their verdict: pass=DIR reject=DIR review=DIR refused=DIR, or a class name.
        keep: Link photos into those folders and leave them in the watched one, too.
        journal: A path, or postgresql://USER@HOST/DATABASE. [default: TELITI_JOURNAL, or FOLDER-journal.sqlite]
        once: Judge what is there and end.
        fail_on: With "reject", leave with exit code 3 when a photo was rejected or refused.
        engine: What runs the network; auto takes the faster one here. Verdicts do not depend on it.
        line: What the line is like.
        output: How to speak.
    """
    from teliti.serve.watch import WatchOptions

    options = WatchOptions(
        into=_parse_into(into or []),
        keep=keep,
        serial=line.serial,
        operator=line.operator,
        settle_s=_seconds("--settle", line.settle),
        patience_s=_seconds("--patience", line.patience),
        until_empty=once,
        engine=engine,
    )
    record = _run(bundle, folder, place=journal, options=options, receivers=line.receivers(), output=output)
    if output.json:
        print_json(record)
    elif not output.quiet:
        _print_counts(record)
    unmet = _reason_to_fail(record) if fail_on else None
    if unmet:
        print_failure(describe_failure(GateError(unmet)))
    return GateError.exit_code if unmet else 0


def _run(
    bundle: Path,
    folder: Path,
    *,
    place: str | None,
    options: WatchOptions,
    receivers: list[Receiver],
    output: OutputOptions,
) -> Record:
    from teliti.serve.watch import watch as watch_folder
    from teliti.workflow.journal import open_journal

    resolved = folder.resolve()
    beside = resolved.with_name(f"{resolved.name}-journal.sqlite")
    with _stopped_by_sigterm() as stop, open_journal(place, create=True, default=beside) as journal:
        return watch_folder(
            bundle,
            folder,
            journal=journal,
            options=options,
            receivers=receivers,
            stop=stop,
            on_verdict=None if output.json or output.quiet else _print_verdict,
            reporter=output.reporter(),
        )


def _parse_into(words: list[str]) -> dict[str, Path]:
    places: dict[str, Path] = {}
    for word in words:
        verdict, sign, folder = word.partition("=")
        if not (verdict and sign and folder):
            raise UserError(f"--into must look like VERDICT=DIR, got {word!r}.", hint="For instance --into pass=good")
        if verdict in places:
            raise UserError(f'--into must name "{verdict}" once.', hint="A verdict has one folder.")
        places[verdict] = Path(folder)
    return places


def _seconds(name: str, value: float) -> float:
    if not 0 <= value < float("inf"):
        raise UserError(f"{name} must be seconds, 0 or more, got {value:g}.", hint="Slow network drives need more.")
    return value


@contextmanager
def _stopped_by_sigterm() -> Iterator[threading.Event]:
    """An event that SIGTERM sets: what a service manager sends to end a service in order."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_verdict(record: Record) -> None:
    from teliti.cli.wording import format_number

    verdict = record["verdict"] or record["label"] or "measured"
    said = record["reason"] if verdict == "refused" else f"score {format_number(record['score'])}"
    print_line(stdout_console(), f"{record['position']}  {record['photo']}  {verdict}  {said}")


def _print_counts(record: Record) -> None:
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(record["verdicts"].items()))
    judged = f"{record['judged']:,} photos" if record["judged"] != 1 else "1 photo"
    print_line(stderr_console(), f"{judged}{f': {counts}' if counts else ''}. Journal head {record['head']}")


def _reason_to_fail(record: Record) -> str | None:
    rejects, refused = record["verdicts"].get("reject", 0), record["refused"]
    if not rejects + refused:
        return None
    return f"{rejects} rejected and {refused} refused: the gate --fail-on reject is not met."
