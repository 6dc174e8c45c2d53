"""The style sheet of every page, and the content policy that lets a page use it and nothing else."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources

from teliti.report.markup import Html, element, raw_text


@cache
def style_sheet() -> str:
    """The CSS of a report: colours as variables (light, dark, print), type, tables, figures."""
    return resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8").replace("\r\n", "\n")


def content_policy() -> str:
    """The Content-Security-Policy of a page: this one style sheet, pictures inside the page, nothing else."""
    digest = base64.b64encode(hashlib.sha256(style_sheet().encode()).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def style_head() -> Html:
    """The policy, which must come first, and the style sheet."""
    policy = element("meta", http_equiv="Content-Security-Policy", content=content_policy())
    return Html(policy + raw_text("style", style_sheet()))
