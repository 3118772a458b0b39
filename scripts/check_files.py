"""Check what no linter looks at: the size of files, and that nothing committed names a machine or a registry."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CAP_LINES = 500
GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")
FOREIGN = re.compile(r"(?<![\w.])/(home|root|Users|work)/\w|pypi\.org|pythonhosted|npmjs|deb\.debian")


def main() -> None:
    """Run the command."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],  # noqa: S607 - git is wherever it is
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    problems: list[str] = []
    for name in listed:
        path = ROOT / name
        if GENERATED.search(name) or not path.is_file() or path == Path(__file__):
            continue
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        if name.endswith(".py") and len(lines) > CAP_LINES:
            problems.append(f"{name}: {len(lines)} lines, the cap is {CAP_LINES}")
        problems += [
            f"{name}:{n}: names a machine or a registry" for n, line in enumerate(lines, 1) if FOREIGN.search(line)
        ]
    sys.exit("\n".join(problems) if problems else 0)


if __name__ == "__main__":
    main()
