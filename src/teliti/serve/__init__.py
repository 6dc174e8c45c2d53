"""Inspection while the line runs: the watch folder. It calls `workflow` and the journal and knows nothing deeper."""
