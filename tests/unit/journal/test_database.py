"""Opening a journal: new, missing, of another schema, damaged, removed, unreachable; and who may read it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

import teliti.journal
from journals import verdict_entry
from postgres import free_port
from teliti.errors import MissingExtraError, StorageError, UserError
from teliti.journal.store import Journal
from teliti.journal.tables import RECORDS, SCHEMAS, VERSION_TABLE


def test_the_schemas_are_the_revisions_of_the_package() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(teliti.journal.__file__).with_name("migrations")))
    revisions = [revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(revisions)) == SCHEMAS


def test_the_migrations_make_the_tables_that_the_code_knows(place: str) -> None:
    with Journal(place) as journal, journal._database.reading() as connection:
        found = sa.inspect(connection)
        for table in RECORDS.metadata.tables.values():
            columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
            assert columns == {column.name: column.nullable for column in table.columns}
        indexed = {name for index in found.get_indexes(RECORDS.name) for name in index["column_names"]}
        indexed |= {name for rule in found.get_unique_constraints(RECORDS.name) for name in rule["column_names"]}
        assert indexed >= {"serial", "once", "hash", "photo_hash", "corrects"}


def test_a_reader_makes_nothing(place: str) -> None:
    with pytest.raises(UserError, match="There is no journal at"):
        Journal(place, create=False)
    assert not Path(place).exists()


def test_a_file_that_is_no_journal_yet_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite"
    path.touch()
    with pytest.raises(UserError, match="There is no journal at"):
        Journal(path, create=False)


def test_a_newer_schema_is_refused_with_what_to_do(place: str) -> None:
    with Journal(place) as journal:
        journal.append([verdict_entry()])
        with journal._database.writing() as connection:
            connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '0099'")
    with pytest.raises(UserError, match=r"has schema 0099, this version reads up to 0001\. Use the Teliti version"):
        Journal(place)


def test_a_file_of_something_else_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StorageError, match="could not be opened: file is not a database"):
        Journal(path)


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """S19: the store's file and those that SQLite keeps beside it are 0600; a folder that is made for them is 0700."""
    with Journal(tmp_path / "line" / "journal.sqlite") as journal:
        journal.append([verdict_entry()])
        assert stat.S_IMODE((tmp_path / "line").stat().st_mode) == 0o700
        files = list((tmp_path / "line").iterdir())
        assert len(files) == 3
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    """S19: a link that lay there before the start is refused, and what it leads to is not touched."""
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "journal.sqlite").symlink_to(elsewhere)
    with pytest.raises(UserError, match="must be a file of its own, got the link"):
        Journal(tmp_path / "journal.sqlite")
    assert not elsewhere.exists()


def test_a_journal_that_was_removed_takes_no_record(tmp_path: Path) -> None:
    """S24: the file is deleted while it is in use; writing on would make records that nobody finds."""
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        journal.append([verdict_entry(1)])
        path.unlink()
        with pytest.raises(StorageError, match="was removed or replaced while it was in use"):
            journal.append([verdict_entry(2)])
        path.write_bytes(b"")
        with pytest.raises(StorageError, match="was removed or replaced"):
            journal.head()


def test_a_full_disk_takes_no_record_and_loses_none(tmp_path: Path) -> None:
    """S24: the record does not fit, the call says so, and what was there before is whole."""
    with Journal(tmp_path / "journal.sqlite") as journal:
        journal.append([verdict_entry(1)])
        engine = journal._database.engine
        with engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

        @sa.event.listens_for(engine, "checkout")
        def bound(connection: object, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(StorageError, match=r"could not be written: database or disk is full\. Nothing was passed"):
            journal.append([verdict_entry(number) for number in range(2, 1000)])
        assert journal.verify()["records"] == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        Journal(tmp_path / "file" / "journal.sqlite")


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(
        StorageError, match=r"postgresql\+psycopg://ana:\*\*\*@127.0.0.1.*could not be opened"
    ) as caught:
        Journal(f"postgresql://ana:secret@127.0.0.1:{free_port()}/journal")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("place", ["mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_other_databases_are_refused(place: str) -> None:
    with pytest.raises(UserError, match="must be a path for SQLite, or postgresql://"):
        Journal(place)


def test_a_broken_url_is_not_repeated() -> None:
    with pytest.raises(UserError, match=r"The journal's URL cannot be read\."):
        Journal("postgresql://ana:secret@host:port/db")


def test_the_driver_of_postgresql_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teliti.journal.database.is_installed", lambda library: library != "psycopg")
    with pytest.raises(MissingExtraError, match=r'pip install "teliti\[postgres\]"'):
        Journal("postgresql://host/db")
