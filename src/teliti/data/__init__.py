"""Files to samples: the image door, the readers of photo collections, duplicates, splits, loading.

Needs numpy, OpenCV and Pillow only. Nothing is imported here: callers import the module they use.
"""
