"""Layers and gradients that train faster on a CPU than torch's own, with the same numbers (decision record 0022)."""
