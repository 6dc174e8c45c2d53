"""The stages of a training, from the features or the network to the bundle, its record and its evidence."""
