"""One reader a file format, each with `read_header` (cheap, allocates no pixels) and `read_pixels`.

Only `teliti.data.decode` calls these; it checks the header against the limits in between.
"""
