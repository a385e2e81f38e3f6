"""Restore a checkpoint of a local backend (`file://`) that was cut when the engine was killed.

The engine keeps the checkpoint before the last one beside it, as `STACK.json.bak`. Nothing is created before the
checkpoint that names it as pending is written, so the one before misses no resource. Object stores and Pulumi Cloud
replace a checkpoint as a whole. (Sources: `saveCheckpoint` in pkg/backend/diy/state.go of pulumi/pulumi, and
blob/fileblob of gocloud.dev.)
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

_URL = re.compile(r"^Backend URL:\s*(\S+)", re.MULTILINE)
_PROJECT = re.compile(r"^name:\s*['\"]?([A-Za-z0-9_.-]+)", re.MULTILINE)
_CUT = ("failed to load checkpoint", "unexpected end of JSON", "unexpected EOF", "EOF")


def is_cut(error: str) -> bool:
    """Return whether the engine reports a checkpoint that ends in the middle."""
    return any(words in error for words in _CUT)


def backend_url(whoami: str) -> str:
    """Return the backend's URL from the output of `pulumi whoami --verbose`; empty if it is not there."""
    found = _URL.search(whoami)
    return found.group(1) if found else ""


def project_name(program: Path) -> str:
    """Return the project's name from a folder's Pulumi.yaml; empty if it is not there."""
    try:
        found = _PROJECT.search((program / "Pulumi.yaml").read_text(encoding="utf-8"))
    except OSError:
        return ""
    return found.group(1) if found else ""


def checkpoint_file(url: str, project: str, stack: str) -> Path | None:
    """Return a stack's file in a local backend; None for any other backend."""
    if not url.startswith("file://") or not project:
        return None
    folder = Path(unquote(url.removeprefix("file://"))).expanduser() / ".pulumi" / "stacks"
    name = f"{stack.rpartition('/')[2]}.json"
    return next((path for path in (folder / project / name, folder / name) if path.exists()), None)


def restore(file: Path) -> list[str]:
    """Repair what the killed engine has cut, and return what was done in words; nothing if it can't be repaired.

    The attributes beside a checkpoint (its type and digest) are written in place, and are optional: cut ones are
    removed. A cut checkpoint is replaced by the one before.
    """
    before = file.with_name(f"{file.name}.bak")
    done = []
    for attributes in (file.with_name(f"{file.name}.attrs"), before.with_name(f"{before.name}.attrs")):
        if attributes.exists() and not _is_whole(attributes):
            attributes.unlink()
            done.append(f"{attributes.name} was removed")
    if not _is_whole(file):
        if not _is_whole(before):
            return []
        shutil.copyfile(before, file)
        done.append(f"{before.name} was restored")
    return done


def _is_whole(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_bytes()), dict)
    except (OSError, ValueError):
        return False
