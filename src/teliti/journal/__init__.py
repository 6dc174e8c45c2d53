"""The inspection journal: every verdict, append-only, each record chained to the one before it by its hash.

`entry` says what a record is and how it is hashed, `chain` finds the first damaged one, `store` keeps them in SQLite or
PostgreSQL, `migrations` is the history of the tables. SQLAlchemy and Alembic are at home here and nowhere else.
"""
