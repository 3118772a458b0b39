"""What a name looks like, and the one of the cell without a technique."""

from __future__ import annotations

import re
from typing import Final

IDENTIFIER: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What a name registered beforehand may look like: checkpoint, model line, category, tag, technique."""

PLAIN: Final = "plain"
"""The key of the cell in which a prompt is sent as it is, without a technique."""
