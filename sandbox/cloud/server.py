"""The local cloud emulator's process: `python -m sandbox.cloud.server [PORT]`, port 0 for a free one.

Prints one JSON line with the endpoint when it accepts requests. The SDK's variables are set before moto is imported,
so that nothing in this process uses real credentials.
"""

from __future__ import annotations

import json
import os
import signal
import sys


def _environment() -> None:
    os.environ.update(
        MOTO_IAM_LOAD_MANAGED_POLICIES="true",
        MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS="false",
        AWS_ACCESS_KEY_ID="unused",
        AWS_SECRET_ACCESS_KEY="unused",
        AWS_EC2_METADATA_DISABLED="true",
    )


def main(arguments: list[str]) -> None:
    """Serve the emulated cloud until the process ends."""
    _environment()
    from sandbox.cloud import patches, shortcuts
    from sandbox.cloud.gate import Gate
    from sandbox.cloud.wire import Server

    patches.apply()
    shortcuts.apply()
    server = Server(int(arguments[0]) if arguments else 0, Gate())
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["MOTO_PORT"] = str(server.port)
    print(json.dumps({"endpoint": f"http://127.0.0.1:{server.port}"}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
