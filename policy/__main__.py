"""Start the pack for the engine: `pulumi preview --policy-pack policy`. The rules are in `rules/`."""

import sys
from pathlib import Path

# The engine runs this folder. The rules import the project from its parent, so the pack and the code that it compares
# the plan with come from one checkout, whatever else is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policy.pack import start

start()
