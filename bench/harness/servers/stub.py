"""Secrets Manager and STS, as far as a worker calls them: `python -m bench.harness.servers.stub PORT [CERTIFICATE]`.

A worker calls them once, so they do not count in a measurement.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bench.harness.authority import server_context

KEY = "testing"
SECRET = "testingtesting"
USER_ID = "AIDABENCH"
ROLE = "AROABENCH"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if "x-amz-target" in self.headers:
            text = json.dumps({"access_key_id": KEY, "secret_access_key": SECRET, "user_id": USER_ID})
            body = json.dumps({"Name": "peer", "SecretString": text}).encode()
        else:
            who = USER_ID if self.path.startswith("/remote") else f"{ROLE}:worker"
            identity = f"<UserId>{who}</UserId><Arn>arn:aws:sts::000000000000:assumed-role/worker/{who}</Arn>"
            body = f"<R><GetCallerIdentityResult>{identity}</GetCallerIdentityResult></R>".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler)
    if len(sys.argv) > 2:
        server.socket = server_context(sys.argv[2]).wrap_socket(server.socket, server_side=True)
    server.serve_forever()
