"""Features of photos from a frozen backbone: its engines, the cache, and what a set of features says by itself."""
