"""What the tests of the evaluation share."""

from __future__ import annotations

import pytest
from evaluation_fakes import Bench


@pytest.fixture
def bench():
    return Bench()
