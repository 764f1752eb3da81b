"""`python -m styletransfer.distill` is `main`."""

import sys

from .program import main

sys.exit(main())
