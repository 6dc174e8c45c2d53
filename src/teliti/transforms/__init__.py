"""Transforms of photos: `prepare` is deterministic and travels in the bundle."""
