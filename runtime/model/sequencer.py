"""The order of events on one key.

S3 gives each event of a key a hexadecimal `sequencer` and says: compare them as strings, the shorter padded with
zeros. The pages disagree on which side; sequencers of one key share their leading digits, so the number is padded on
the left here, in lower case. A worker logs when it meets two lengths. (Source: "Event message structure", Amazon S3
User Guide.)
"""

from __future__ import annotations

import re

WIDTH = 32


def normalise(sequencer: str) -> str:
    """Return a form that compares as a string; empty (no staleness check) for a missing or unreadable one."""
    text = sequencer.strip().lower()
    return text.rjust(WIDTH, "0") if re.fullmatch(r"[0-9a-f]{1,32}", text) else ""


def latest(*sequencers: str) -> str:
    """Return the highest of normalised sequencers; empty ones count as lowest."""
    return max(sequencers, default="")


def earliest(known: str, other: str) -> str:
    """Return the lower of two normalised sequencers: `other` if the known one is empty, and empty if `other` is."""
    return min(known or other, other)
