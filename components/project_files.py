"""Locate the files outside the package that a deployment needs: `Pulumi.yaml` and the runtime's lock."""

from __future__ import annotations

from pathlib import Path

COMPONENTS = Path(__file__).resolve().parent
"""The folder `components/`: at the project's root, or inside the installed package `dualsync`."""

RUNTIME = COMPONENTS.parent / "runtime"
"""The runtime's sources, beside the components in both cases."""

_PACKAGED = COMPONENTS.parent / "project_files"


def project_folder() -> Path:
    """Return the folder that holds `Pulumi.yaml` and `requirements/`: the project's root, or the installed copy."""
    return _PACKAGED if _PACKAGED.exists() else COMPONENTS.parent
