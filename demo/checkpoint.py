"""Write one of the demo's five checkpoints into the folder that an appliance watches.

::

    python demo/checkpoint.py 2 appliance/checkpoints
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import lab


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description="Write one of the demo's checkpoints where an appliance watches.")
    parser.add_argument("number", type=int, choices=sorted(lab.TRUE_RATES), help="which one")
    parser.add_argument("folder", type=Path, help="the folder that the appliance watches")
    options = parser.parse_args()
    target = options.folder / lab.checkpoint_name(options.number)
    try:
        lab.write_checkpoint(target, options.number)
    except OSError as error:
        print(f"{target}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"wrote {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
