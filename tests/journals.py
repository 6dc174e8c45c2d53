"""Journals for tests: entries, and hands that reach past the triggers into the tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from teliti.journal.entry import Entry


def verdict_entry(number: int = 1, **said: object) -> Entry:
    """A verdict about part `A<number>`, all different."""
    score = number % 100 / 100
    facts: dict = {
        "serial": f"A{number}",
        "photo": f"a{number}.png",
        "photo_hash": f"{number:064x}",
        "model_hash": "c" * 64,
        "verdict": "reject" if score >= 0.5 else "pass",
        "label": "bright" if score >= 0.5 else "dark",
        "score": score,
        "probs": {"dark": 1 - score, "bright": score},
        "threshold": 0.5,
        "operator": "Ana",
    }
    return Entry("verdict", "watch /line", **{**facts, **said})


def tamper(place: str, *statements: str) -> None:
    """Run statements on the records as somebody with every right would: the triggers are taken away first."""
    if place.startswith("postgresql://"):
        import psycopg

        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute("ALTER TABLE teliti_journal DISABLE TRIGGER USER")
            for statement in statements:
                connection.execute(statement)
        return
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        for what in ("update", "delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS teliti_journal_no_{what}")
        for statement in statements:
            connection.execute(statement)


def swap(first: int, second: int) -> list[str]:
    """Statements that exchange the positions of two records."""
    move = "UPDATE teliti_journal SET position = {} WHERE position = {}"
    return [move.format(-1, first), move.format(first, second), move.format(second, -1)]
