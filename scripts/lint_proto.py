"""Lint the contract with buf, and compare it with the committed image of the last release.

buf reads descriptor images that protoc wrote, because it resolves imports from its registry otherwise.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUF = Path(sys.executable).parent / "buf"
RELEASED = ROOT / "proto" / "released.binpb"
CONFIG = {
    "version": "v2",
    "lint": {
        "use": ["STANDARD"],
        # The generated path is the import path: heldout_proto/v1, where the rule would want heldout/v1.
        "except": ["PACKAGE_DIRECTORY_MATCH"],
        "ignore": ["buf", "google"],
    },
    "breaking": {"use": ["FILE"], "ignore": ["buf", "google"]},
}


def _buf(*arguments: str) -> int:
    return subprocess.run([BUF, *arguments, "--config", json.dumps(CONFIG)], check=False).returncode  # noqa: S603 - our own arguments


def main() -> None:
    """Run the command."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "contract.binpb"
        generate = [sys.executable, str(ROOT / "scripts" / "generate_proto.py"), "--image", str(image)]
        subprocess.run(generate, check=True)  # noqa: S603 - our own script
        failed = _buf("lint", str(image))
        failed |= _buf("breaking", str(image), "--against", str(RELEASED))
    sys.exit(failed)


if __name__ == "__main__":
    main()
