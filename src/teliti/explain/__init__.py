"""Why a network answers as it does: maps over its input, on arrays alone."""
