"""A log on two devices, for all tests of the log."""

from functools import partial

import pytest
from audit_log_lab import opened


@pytest.fixture
def two(tmp_path):
    """Return what opens a log on two devices."""
    (tmp_path / "other").mkdir()
    return partial(opened, tmp_path, second=tmp_path / "other" / "audit.db")
