"""A run's record as one self-contained HTML page: no script, no outside link, safe with any name."""

from __future__ import annotations

from datetime import datetime

from teliti.report import findings, learning, making, material
from teliti.report.deciding import deciding
from teliti.report.evidence_page import evidence_section
from teliti.report.frame import Section, frame_page
from teliti.report.markup import Html, name
from teliti.report.pictures import ReportPictures
from teliti.report.reading import is_folds, is_regression, table_at
from teliti.report.several import is_multilabel
from teliti.report.verdict import verdict
from teliti.report.wording import count
from teliti.types import Record


def render_report(record: Record, pictures: ReportPictures) -> str:
    """The report of a run; a section whose keys the record lacks is left out.

    Args:
        record: What the run measured and chose, as in its metrics.json.
        pictures: The photos to show.

    Returns:
        One HTML document, encodable as UTF-8 whatever the names in the record.
    """
    sections = [Section(*one) for one in _sections(record, pictures) if one[2]]
    title = str(record.get("title") or "Inspection report")
    return frame_page(
        title,
        eyebrow="Teliti inspection report",
        notes=_notes(record),
        sections=sections,
        version=record.get("version"),
    )


def _sections(record: Record, pictures: ReportPictures) -> list[tuple[str, str, Html]]:
    """Key, heading and content of every section, in reading order."""
    return [
        ("verdict", "Verdict", verdict(record)),
        ("numbers", "Key numbers", findings.key_numbers(record)),
        ("proofs", "What the numbers prove, and what not", findings.proofs(record)),
        ("confusion", "Confusion matrix", findings.confusion(record)),
        (
            "curves",
            "Predicted against true" if is_regression(record) else "Curves and threshold",
            findings.curves(record),
        ),
        ("decision", "The decision", deciding(record)),
        ("classes", _part_heading(record), findings.per_class(record)),
        ("evidence", "Does the net look at the part?", evidence_section(record, pictures.evidence)),
        ("mistakes", "Worst mistakes", findings.mistakes(record, pictures.mistakes)),
        ("samples", "Sample photos", material.samples(pictures)),
        ("view", "As the network sees it", material.network_view(record, pictures)),
        ("data", "Data", material.data(record)),
        ("learning", "How it learnt", learning.learning(record)),
        ("layers", "Layer by layer", learning.layers(record)),
        ("training", "Training", making.training(record)),
        ("parity", "Trained against exported", making.parity(record)),
        ("times", "Times", making.times(record)),
        ("environment", "Environment", making.environment(record)),
        ("recipe", "Make it again", making.recipe(record)),
    ]


def _part_heading(record: Record) -> str:
    if is_regression(record):
        return "Number by number"
    return "Label by label" if is_multilabel(record) else "Class by class"


def _notes(record: Record) -> list[str]:
    source = table_at(record, "data").get("source")
    photos = table_at(record, "data").get("photos")
    folds = table_at(record, "data", "split").get("folds")
    return [
        str(record.get("task") or ""),
        name(source) if source else "",
        count(photos, "photo") if photos else "",
        f"{folds}-fold cross-validation" if is_folds(record) and folds else "",
        _moment(record.get("created")),
    ]


def _moment(created: object) -> str:
    """Date and time of day; anything that is no ISO 8601 moment as it stands."""
    try:
        return f"{datetime.fromisoformat(str(created)):%Y-%m-%d %H:%M %Z}".strip() if created else ""
    except ValueError:
        return str(created)
