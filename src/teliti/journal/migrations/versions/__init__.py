"""The revisions; their order stands in `journal.tables.SCHEMAS`."""
