"""The provider as a process, `python -m sandbox.provider.server`: prints one JSON line with its port, then serves."""

from __future__ import annotations

import json
import logging
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.provider.grpc_provider import Servicer

THREADS = 16
LARGEST_MESSAGE = 400 * 1024 * 1024
"""Largest message in bytes, which is the engine's own limit."""


def main() -> None:
    """Print the port on loopback, and serve the emulated provider until the process ends."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(message)s")
    server = grpc.server(ThreadPoolExecutor(THREADS), options=[("grpc.max_receive_message_length", LARGEST_MESSAGE)])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: server.stop(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(json.dumps({"port": port}), flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
