"""Inspection while the line runs: watch folder and the HTTP service. It calls `workflow` and the journal."""
