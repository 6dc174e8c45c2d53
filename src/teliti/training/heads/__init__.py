"""Heads on features: fitting, the search of their hyperparameters, calibration, and a trained network's own."""
