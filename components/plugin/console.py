"""Start the provider by a name that the engine finds on PATH, from any folder: `pulumi-resource-dualsync`."""

from __future__ import annotations

import sys


def main() -> None:
    """Serve the provider to the engine at the address that is given."""
    try:
        from dualsync.components.plugin.plugin import serve
    except ModuleNotFoundError as e:
        sys.exit(f"error: {e}; install the provider's packages with `pip install 'dualsync[component]'`")
    serve(sys.argv[1:])
