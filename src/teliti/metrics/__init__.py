"""Scores and labels to numbers: measures, intervals, curves, thresholds, calibration, decisions. Needs numpy only."""
