"""`python -m neuroloom`, the same as the `neuroloom` command."""

import sys

from neuroloom.apps.cli import main

sys.exit(main())
