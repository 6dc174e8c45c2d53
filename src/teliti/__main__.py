"""`python -m teliti`: the command line."""

import sys

from teliti.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
