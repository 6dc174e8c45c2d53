"""Learning: the loop that trains a network; in folders features of a frozen one, heads on them, layers for CPUs."""
