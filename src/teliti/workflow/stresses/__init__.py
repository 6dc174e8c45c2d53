"""What `stress` is made of: sweeps, and the envelope that follows from them."""
