"""Starts the provider. The engine runs this folder: `python components <engine's address>`."""

import sys
from pathlib import Path

# Python puts the folder it runs first on its path, where `queue.py` and others would hide the standard library's.
ABOVE = Path(__file__).resolve().parent.parent
sys.path[0] = str(ABOVE if (ABOVE / "dualsync").exists() else ABOVE.parent)

from dualsync.components.plugin.plugin import serve  # noqa: E402

if __name__ == "__main__":
    serve(sys.argv[1:])
