"""`python -m accelsim` is the command `accelsim`."""

import sys

from accelsim.cli import main

sys.exit(main())
