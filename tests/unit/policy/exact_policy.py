"""A release policy of the exact profile, as a person would write one."""

from __future__ import annotations

EXACT = """\
version = 2
profile = "exact"
releases_per_epoch = 6
full_every = 3
anchors_per_epoch = 1
minimum_units_per_cell = 30
grid_units = 5

[approvals]
roles = ["bank_tester"]

[schedule]
publish = "as_planned"
slot_s = 3600
"""
