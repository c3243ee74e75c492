"""``python -m troubleshoot`` is ``wsadiag``."""

from __future__ import annotations

import sys

from troubleshoot.entry import main

sys.exit(main())
