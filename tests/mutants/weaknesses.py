"""All weaknesses, in the order of the table."""

from __future__ import annotations

import weak_boundary
import weak_records
import weak_release

WEAKNESSES = (*weak_release.WEAKNESSES, *weak_boundary.WEAKNESSES, *weak_records.WEAKNESSES)
