"""What `check` looks at, one subject a file."""
