"""`python -m styletransfer.distill`."""

import os
import sys

from .. import cores

if __name__ == "__main__":
    os.environ.update(cores.settings(os.environ))  # before the program imports torch
    from .program import main

    sys.exit(main())
