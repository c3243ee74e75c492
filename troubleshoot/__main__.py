"""``python -m troubleshoot`` is ``wsadiag``."""

from __future__ import annotations

import sys

from troubleshoot.cli.start import main

sys.exit(main())
