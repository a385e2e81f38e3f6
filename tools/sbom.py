"""Write a software bill of materials (CycloneDX 1.6) from a lock file: `python -m tools.sbom LOCK`.

The lock names every package with its version and the SHA-256 of each of its archives, so the result needs no network
and is the same for the same lock.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""The namespace of addresses (RFC 9562), for serial numbers that depend on the content alone."""


def packages(text: str) -> list[dict[str, Any]]:
    """Return the components of a lock file. Raises `ValueError` for a package without a hash."""
    found: list[dict[str, Any]] = []
    for line in text.replace("\\\n", " ").splitlines():
        match = _PINNED.match(line)
        if match is None:
            continue
        hashes = _HASH.findall(line)
        if not hashes:
            raise ValueError(f"{match['name']}: the lock has no hash for it; write it with `make lock`")
        purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', match['name']).lower()}@{match['version']}"
        archives = [
            {"type": "distribution", "url": purl, "hashes": [{"alg": "SHA-256", "content": h}]} for h in sorted(hashes)
        ]
        found.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": match["name"],
                "version": match["version"],
                "purl": purl,
                "externalReferences": archives,
            }
        )
    return found


def bill(name: str, text: str) -> dict[str, Any]:
    """Return the bill of materials of a lock file."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, digest)}",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": name, "name": name}},
        "components": packages(text),
    }


def main(arguments: list[str]) -> int:
    """Write the bill of the given lock file to standard output, and return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tools.sbom LOCK\n")
        return 2
    path = Path(arguments[0])
    sys.stdout.write(json.dumps(bill(f"dualsync-{path.stem}", path.read_text()), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
