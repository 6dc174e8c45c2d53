"""Export: a bundle as the file of another runtime, with the proof that it is still the same inspector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from teliti.bundle import Bundle, open_bundle
from teliti.errors import GateError, ParityError, UserError
from teliti.export.formats import (
    OPENVINO_FILE,
    Target,
    describe_inspector,
    open_exported,
    read_openvino,
    write_onnx,
    write_openvino,
    write_torch,
)
from teliti.files import hash_file, write_json_atomic
from teliti.predictor import Predictor
from teliti.sessions import OnnxRuntimeSession
from teliti.types import Record, Reporter, Sample, SilentReporter
from teliti.workflow.exports.certificate import (
    answer_by_all,
    certify,
    check_compared,
    defect_floor,
    defect_names,
    tell_training_path,
)
from teliti.workflow.exports.int8 import Int8Photos, int8_photos, make_int8
from teliti.workflow.exports.speed import measure_speeds
from teliti.workflow.learning.training_path import open_training_path
from teliti.workflow.shared.sealed import RunPhotos, labelled_photos, photos_of_run, seen_photos

CERTIFICATE = "parity.json"


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, and what must hold.

    Attributes:
        to: The runtime.
        int8: Quantise to eight bits.
        force: Keep an int8 network that the accuracy speaks against.
        min_defect_recall: The share of defects that an int8 network must catch; None: what `decide.max_miss_rate`
            of the recipe implies, or any.
    """

    to: Target
    int8: bool = False
    force: bool = False
    min_defect_recall: float | None = None


def export(
    bundle: str | Path,
    options: ExportOptions,
    *,
    data: str | Path | None = None,
    calibrate: str | Path | None = None,
    out: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Record:
    """Write a bundle as the file of another runtime, with `parity.json` beside it.

    The photos of the sealed test part go through the training path, through the bundle's own file, through the exported
    one, and through the exported one behind a second decoder. Any changed verdict refuses a float export; an int8
    export is refused when its accuracy, a class's recall or the defects it catches fall too far. Where the run had
    folds, an int8 network is made with one fold, chosen with another and measured on the others.

    Args:
        bundle: The bundle's folder.
        options: What is exported.
        data: Labelled photos that the bundle has not seen; None takes the test part of the bundle's own run.
        calibrate: Photos that the ranges of an int8 network are measured on; None takes the run's training photos.
        out: A folder for the file and the certificate; None makes one beside the bundle.
        reporter: Told how far it is.

    Returns:
        The certificate: target, files with SHA-256, paths, source, photos and how many of them the bundle has seen,
        judged (each photo's SHA-256), comparisons, training_path, measures, int8 (how it was chosen, or None), speed,
        objections, passed.

    Raises:
        ParityError: a verdict changed. The certificate is written, the file is not.
        GateError: the int8 network is not accurate enough, and was not forced.
        UserError: no photos to compare on, or `out` holds something else.
        MissingExtraError: a library is not installed.
    """
    reporter = SilentReporter() if reporter is None else reporter
    opened = open_bundle(Path(bundle))
    _check_options(options, opened)
    run = photos_of_run(opened)
    if run is not None and options.int8:
        run = run.apart()
    samples, source = _measured(run, data, opened.path, read=partial(labelled_photos, bundle=opened))
    target = _make_folder(opened.path, options, out)
    reference = Predictor(opened, session=OnnxRuntimeSession(opened.model_path))
    photos = int8_photos(reference, run, calibrate) if options.int8 else None
    path, chosen = _write(reference, options, photos, folder=target, reporter=reporter)
    try:
        certificate = _prove(reference, path, samples, source=source, options=options, reporter=reporter)
        training, quoted = certificate.pop("training"), None if run is None else run.parity
        certificate |= {
            "bundle": str(bundle),
            "training_path": tell_training_path(training, certificate["comparisons"], quoted),
            "int8": None if photos is None or chosen is None else chosen | _shared(photos, certificate),
        }
    except BaseException:
        _remove(path)
        raise
    return _seal(certificate, path, folder=target, options=options)


def _prove(
    reference: Predictor, path: Path, samples: tuple[Sample, ...], *, source: str, options: ExportOptions,
    reporter: Reporter,
) -> Record:  # fmt: skip
    """The certificate as far as the photos' answers give it, and under "training" what the training path was."""
    opened = reference.bundle
    training = open_training_path(opened, threads=reference.threads)
    session = open_exported(path, threads=reference.threads)
    paths = answer_by_all(reference, session, training, samples=samples, int8=options.int8, reporter=reporter)
    check_compared(paths, samples, source)
    floor = defect_floor(opened, options.min_defect_recall)
    return certify(opened, paths, samples, to=options.to, int8=options.int8, least_defect_recall=floor) | {
        "source": source,
        "seen": sum(seen_photos(opened, samples)),
        "forced": options.force,
        "speed": measure_speeds(reference, path, samples, precision="int8" if options.int8 else "f32"),
        "training": training,
    }


def _shared(photos: Int8Photos, certificate: Record) -> Record:
    """How many of the judged photos the eight-bit network was made or chosen with."""
    return {"also_judged": sum(one["sha256"] in photos.digests for one in certificate["judged"]["photos"])}


def _seal(certificate: Record, path: Path, *, folder: Path, options: ExportOptions) -> Record:
    """Keep the certificate, and the file only where nothing speaks against it."""
    refused = bool(certificate["objections"]) and not options.force
    if refused:
        _remove(path)
    sealed = certificate | {
        "files": {} if refused else {file.name: hash_file(file) for file in _files_of(path)},
        "path": None if refused else str(path),
        "certificate": str(folder / CERTIFICATE),
    }
    for name in _OWN_NAMES - {CERTIFICATE, *(file.name for file in _files_of(path))}:
        (folder / name).unlink(missing_ok=True)  # of an earlier export: this certificate does not speak for it
    write_json_atomic(folder / CERTIFICATE, sealed)
    if refused:
        raise _refusal(sealed, options)
    return sealed


def _check_options(options: ExportOptions, opened: Bundle) -> None:
    if options.int8 and options.to == "torch":
        raise UserError("--int8 must stand beside --to onnx or --to openvino, got --to torch.",
                        hint="Torch gets the float network, which it computes with its own kernels.")  # fmt: skip
    if options.force and not options.int8:
        raise UserError(
            "--force must stand beside --int8.", hint="A float export that changes a verdict is never to be used."
        )
    least = options.min_defect_recall
    if least is None:
        return
    if not options.int8:
        raise UserError("--min-defect-recall must stand beside --int8.", hint="A float export changes no verdict.")
    if not 0.0 <= least <= 1.0:
        raise UserError(
            f"--min-defect-recall must be in [0, 1], got {least:g}.", hint="0.95 means 95 % of the defects."
        )
    if not defect_names(opened):
        raise UserError(
            f'--min-defect-recall must stand beside a bundle that rejects a class, and "{opened.path}" rejects none.',
            hint="Leave it out.",
        )


def _measured(
    run: RunPhotos | None, data: str | Path | None, folder: Path, *, read: partial[tuple[Sample, ...]]
) -> tuple[tuple[Sample, ...], str]:
    """The photos to compare on, and where they come from."""
    if data is not None:
        samples, source = read(data), str(data)
    elif run is not None:
        samples, source = run.sealed, f"{run.part} of {run.source}"
    else:
        raise UserError(
            f'"{folder}" is not in the folder of its run, so its sealed test photos cannot be found.',
            hint="Name labelled photos that it has not seen with --data.",
        )
    if not samples:
        raise UserError(f"{source} must hold photos to compare on, got none.", hint="Name others with --data.")
    return samples, source


def _make_folder(bundle: Path, options: ExportOptions, out: str | Path | None) -> Path:
    name = f"{bundle.name}-{options.to}{'-int8' if options.int8 else ''}"
    folder = bundle.with_name(name) if out is None else Path(out)
    strangers = [] if not folder.is_dir() else [one.name for one in folder.iterdir() if one.name not in _OWN_NAMES]
    if strangers or (folder.exists() and not folder.is_dir()):
        raise UserError(
            f'--out must be a new folder or that of an earlier export, got "{folder}".', hint="Choose another one."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


_OWN_NAMES = {"model.onnx", "model.xml", "model.bin", "model.pt2", CERTIFICATE}


def _write(
    reference: Predictor,
    options: ExportOptions,
    photos: Int8Photos | None,
    *,
    folder: Path,
    reporter: Reporter,
) -> tuple[Path, Record | None]:
    """The exported file, and how an int8 network was chosen."""
    facts = describe_inspector(reference.bundle) | {"precision": "f32" if photos is None else "int8"}
    if photos is not None:
        return make_int8(reference, photos, to=options.to, folder=folder, facts=facts, reporter=reporter)
    source = reference.bundle.model_path
    with reporter.task("Writing the exported network", None):
        if options.to == "openvino":
            return write_openvino(read_openvino(source), folder, facts=facts), None
        write = write_torch if options.to == "torch" else write_onnx
        return write(source.read_bytes(), folder, facts=facts), None


def _refusal(certificate: Record, options: ExportOptions) -> GateError | ParityError:
    reasons = " ".join(certificate["objections"])
    where = f"The comparison stands in {certificate['certificate']}."
    if options.int8:
        return GateError(
            f"The int8 network is refused. {reasons}", hint=f"{where} Export without --int8, or accept it with --force."
        )
    return ParityError(f"The exported network is not the same inspector. {reasons}", hint=where)


def _files_of(path: Path) -> list[Path]:
    return [path, path.with_suffix(".bin")] if path.name == OPENVINO_FILE else [path]


def _remove(path: Path) -> None:
    for file in _files_of(path):
        file.unlink(missing_ok=True)
