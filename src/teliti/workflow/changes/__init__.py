"""What the changes between two bundles mean, for verdicts and for numbers."""
