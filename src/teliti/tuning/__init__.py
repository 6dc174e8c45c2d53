"""Search over choices: generic over a trial function that the caller passes in."""
