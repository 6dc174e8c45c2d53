"""What `tune`, `sensitivity` and comparisons of recipes share: trials, trainings as tasks, repeats, rankings."""
