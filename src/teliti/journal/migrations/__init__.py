"""How the journal's tables came to be: one file in `versions` for each revision, run by Alembic when one is opened."""
