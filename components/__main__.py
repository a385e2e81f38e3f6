"""Starts the provider. The engine runs this folder: `python components <engine's address>`."""

import sys
from pathlib import Path

# Python puts the folder it runs first on its path, where `queue.py` and others would hide the standard library's.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pulumi.provider.experimental.server import main  # noqa: E402

from components.plugin import DualSyncProvider  # noqa: E402

if __name__ == "__main__":
    main(sys.argv[1:], "0.1.0", DualSyncProvider())
