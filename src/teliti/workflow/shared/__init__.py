"""What several jobs begin with: photos and their division, the resolved recipe, prepared pictures, run folders."""
