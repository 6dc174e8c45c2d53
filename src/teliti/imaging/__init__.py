"""Pure functions on uint8 RGB arrays, OpenCV and numpy only."""
