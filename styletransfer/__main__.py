"""`python -m styletransfer`."""

import os
import sys

from . import cores

if __name__ == "__main__":
    os.environ.update(cores.settings(os.environ))  # before the command line imports torch
    from .cli import main

    sys.exit(main())
