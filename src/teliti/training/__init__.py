"""Learning: features of photos from a frozen backbone, and heads fitted on them."""
