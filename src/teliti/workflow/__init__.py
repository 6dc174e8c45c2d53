"""One file per job, each a function of a recipe: the API boundary that the command line and the studio call."""
