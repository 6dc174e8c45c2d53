"""Folders of prepared and augmented photos: names, labels, pictures, writing."""
