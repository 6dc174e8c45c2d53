"""The first tables: records, the chain's head, deliveries; and triggers that refuse to change a record."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite's own row number: no second index
_REFUSAL = "the inspection journal is append-only"
_SQLITE_TRIGGERS = tuple(
    f"CREATE TRIGGER teliti_journal_no_{what.lower()} BEFORE {what} ON teliti_journal "
    f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    for what in ("UPDATE", "DELETE")
)
_POSTGRESQL_TRIGGERS = (
    "CREATE FUNCTION teliti_journal_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$",
    "CREATE TRIGGER teliti_journal_no_change BEFORE UPDATE OR DELETE ON teliti_journal "
    "FOR EACH ROW EXECUTE FUNCTION teliti_journal_refuse()",
    "CREATE TRIGGER teliti_journal_no_truncate BEFORE TRUNCATE ON teliti_journal "
    "FOR EACH STATEMENT EXECUTE FUNCTION teliti_journal_refuse()",
)


def upgrade() -> None:
    """Make the tables and triggers, and the head of an empty chain."""
    op.create_table(
        "teliti_journal",
        sa.Column("position", _ROW_NUMBER, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("time", sa.String, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("once", sa.Text, unique=True),
        sa.Column("serial", sa.Text, index=True),
        sa.Column("photo", sa.Text),
        sa.Column("photo_hash", sa.String, index=True),
        sa.Column("model_hash", sa.String),
        sa.Column("verdict", sa.Text),
        sa.Column("label", sa.Text),
        sa.Column("score", sa.Float(53)),
        sa.Column("probs", sa.Text),
        sa.Column("threshold", sa.Float(53)),
        sa.Column("reason", sa.Text),
        sa.Column("operator", sa.Text),
        sa.Column("corrects", sa.BigInteger, index=True),
        sa.Column("details", sa.Text),
        sa.Column("previous", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False, unique=True),
    )
    head = op.create_table(
        "teliti_journal_head",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
        sa.CheckConstraint("id = 1", name="teliti_journal_one_head"),
    )
    op.create_table(
        "teliti_journal_delivery",
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "position": 0, "hash": "0" * 64}])
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE_TRIGGERS if is_sqlite else _POSTGRESQL_TRIGGERS:
        op.execute(statement)
