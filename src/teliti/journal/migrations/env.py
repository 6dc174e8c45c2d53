"""Run by Alembic: migrate over the connection, and inside the transaction, that `journal.database` holds."""

from alembic import context

from teliti.journal.tables import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], version_table=VERSION_TABLE, transactional_ddl=True
)
context.run_migrations()
