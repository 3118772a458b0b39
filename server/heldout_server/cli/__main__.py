"""Run the command where it is not on the path: ``python -m heldout_server.cli``."""

from heldout_server.cli import main

if __name__ == "__main__":
    main()
