"""The journal's tables as SQLAlchemy knows them; `migrations` makes them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, MetaData, String, Table, Text

SCHEMAS = ("0001",)
"""Every revision of the tables, oldest first; the last is what this version reads and writes."""
VERSION_TABLE = "teliti_journal_schema"

_metadata = MetaData()

RECORDS = Table(
    "teliti_journal",
    _metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("time", String, nullable=False),
    Column("source", Text, nullable=False),
    Column("once", Text, unique=True),
    Column("serial", Text, index=True),
    Column("photo", Text),
    Column("photo_hash", String, index=True),
    Column("model_hash", String),
    Column("verdict", Text),
    Column("label", Text),
    Column("score", Float(53)),
    Column("probs", Text),
    Column("threshold", Float(53)),
    Column("reason", Text),
    Column("operator", Text),
    Column("corrects", BigInteger, index=True),
    Column("details", Text),
    Column("previous", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),
)
HEAD = Table(
    "teliti_journal_head",
    _metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("hash", String, nullable=False),
)
DELIVERIES = Table(
    "teliti_journal_delivery",
    _metadata,
    Column("target", Text, primary_key=True),
    Column("source", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)
