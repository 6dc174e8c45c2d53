"""Records to pages: the HTML report of a run and the model card of a bundle. Computes nothing."""

from __future__ import annotations

from teliti.report.card import render_card
from teliti.report.page import render_report
from teliti.report.pictures import ReportPictures
from teliti.report.statements import statements

__all__ = ["ReportPictures", "render_card", "render_report", "statements"]
