"""Starts the real servers on free ports of loopback."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

from bench.harness.authority import Authority
from bench.harness.process import free_port, running, wait_for_port
from bench.harness.servers import tools
from bench.harness.servers.stub import KEY, SECRET


@contextlib.contextmanager
def servers(folder: Path, authority: Authority | None) -> Iterator[tuple[dict[str, int], dict[str, Popen[bytes]]]]:
    """Start all servers, over TLS with an authority, and yield ports and processes.

    Raises `RuntimeError` when one does not start.
    """
    with contextlib.ExitStack() as stack:
        for attempt in (1, 2, 3):
            try:
                started = _start(stack, folder, authority)
                break
            except RuntimeError:
                # Another process may have taken a port meanwhile.
                stack.close()
                if attempt == 3:
                    raise
        yield started


def _start(
    stack: contextlib.ExitStack, folder: Path, authority: Authority | None
) -> tuple[dict[str, int], dict[str, Popen[bytes]]]:
    ports = {name: free_port() for name in ("s3", "sqs", "dynamodb", "stub")}
    # The queue's server has no TLS of its own: the harness's proxy ends it.
    ports["queue"] = free_port() if authority else ports["sqs"]
    data = folder / "s3"
    data.mkdir(parents=True, exist_ok=True)
    conf = folder / "elasticmq.conf"
    scheme = "https" if authority else "http"
    conf.write_text(
        'include classpath("application.conf")\n'
        f'node-address {{ protocol = {scheme}, host = 127.0.0.1, port = {ports["sqs"]}, context-path = "" }}\n'
        f"rest-sqs {{ enabled = true, bind-hostname = 127.0.0.1, bind-port = {ports['queue']}, sqs-limits = strict }}\n"
        "rest-stats { enabled = false }\n"
    )
    elasticmq = tools.jars("elasticmq")
    address = f"127.0.0.1:{ports['s3']}"
    both = [str(authority.both)] if authority else []
    s3 = [str(tools.program("versitygw")), "--port", address, "--keep-alive", "--quiet"]
    if authority:
        s3 += ["--cert", str(authority.certificate), "--key", str(authority.key)]
    python = [sys.executable, "-m"]
    commands = {
        "s3": [*s3, "posix", str(data)],
        "queue": ["java", "-Xmx1g", f"-Dconfig.file={conf}", "-cp", f"{elasticmq}/*", "org.elasticmq.server.Main"],
        "dynamodb": [*python, "bench.harness.servers.table", str(ports["dynamodb"]), *both],
        "stub": [*python, "bench.harness.servers.stub", str(ports["stub"]), *both],
    }
    if authority:
        relay = [str(ports["sqs"]), str(ports["queue"]), "0", *both]
        commands["sqs"] = [*python, "bench.harness.servers.proxy", *relay]
    environment = os.environ | {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET, "PYTHONPATH": str(tools.ROOT)}
    started = {
        name: stack.enter_context(running(command, folder / f"{name}.log", environment, folder=folder))
        for name, command in commands.items()
    }
    for name, process in started.items():
        wait_for_port(ports[name], process, folder / f"{name}.log")
    return ports, started


LEDGER: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "ObjectKey", "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": "ObjectKey", "AttributeType": "S"},
        {"AttributeName": "RecordKind", "AttributeType": "S"},
        {"AttributeName": "RecordTime", "AttributeType": "N"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "records",
            "KeySchema": [
                {"AttributeName": "RecordKind", "KeyType": "HASH"},
                {"AttributeName": "RecordTime", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
