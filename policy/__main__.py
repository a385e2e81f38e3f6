"""Entry of the pack: `pulumi preview --policy-pack policy`. The rules are in `rules/`."""

import sys
from pathlib import Path

# The engine runs this folder; the rules are imported from its parent, as everybody else does.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policy.pack import start

start()
