"""What `ImageDataGenerator` is made of: sources, subsets, tables."""
