"""HTTP/1.1 for one WSGI application: one thread per connection, connections kept open.

moto's own development server closes each connection after one answer, which costs a client more than the request
itself, and `http.server` parses headers as mail. This server supports what SDKs send: a length or chunks,
`Expect: 100-continue`, no pipelining. An error inside the application is written to standard error and answered by 500,
as AWS answers an internal error.
"""

from __future__ import annotations

import io
import socketserver
import traceback
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY, environ_key_for_header

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_BODILESS = {"204", "304"}


class Server(socketserver.ThreadingTCPServer):
    """Serves `application` on loopback until the process ends."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, port: int, application: Application) -> None:
        self.application = application
        super().__init__(("127.0.0.1", port), Connection)

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return int(self.server_address[1])


class Connection(socketserver.StreamRequestHandler):
    """One client's connection."""

    disable_nagle_algorithm = True
    rbufsize = 256 * 1024

    def handle(self) -> None:
        try:
            while self._serve_one():
                pass
        except (ConnectionError, TimeoutError):
            pass

    def _serve_one(self) -> bool:
        line = self.rfile.readline(65_536)
        if not line.strip():
            return False
        method, target, version = line.decode("latin-1").split()
        headers: list[tuple[str, str]] = []
        while (line := self.rfile.readline(65_536)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name, value.strip()))
        environ = self._environ(method, target, headers)
        if environ.get("HTTP_EXPECT", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._body(environ)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ["wsgi.input"] = io.BytesIO(body)
        keep = version == "HTTP/1.1" and environ.get("HTTP_CONNECTION", "").lower() != "close"
        self._answer(environ, method, keep)
        return keep

    def _body(self, environ: dict[str, Any]) -> bytes:
        if environ.pop("HTTP_TRANSFER_ENCODING", "").lower() != "chunked":
            return self.rfile.read(int(environ.get("CONTENT_LENGTH") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)

    def _environ(self, method: str, target: str, headers: list[tuple[str, str]]) -> dict[str, Any]:
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "RAW_URI": target,
            "REQUEST_URI": target,
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.request.getsockname()[1]),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.client_address[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        preserved: dict[str, str] = {}
        for name, value in headers:
            key = environ_key_for_header(name)
            if "_" in name:
                preserved[key] = name
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = preserved
        return environ

    def _answer(self, environ: dict[str, Any], method: str, keep: bool) -> None:
        head: list[str] = []
        named: set[str] = set()

        def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> None:
            head.append(f"HTTP/1.1 {status}\r\n")
            for name, value in headers:
                named.add(name.lower())
                if name.lower() not in ("connection", "content-length") or (
                    name.lower() == "content-length" and method == "HEAD"
                ):
                    head.append(f"{name}: {value}\r\n")

        application: Application = self.server.application  # type: ignore[attr-defined]
        try:
            body = b"".join(application(environ, start_response))
        except Exception:
            traceback.print_exc()
            head.clear()
            named.clear()
            body = b"<Error><Code>InternalError</Code><Message>An internal error occurred.</Message></Error>"
            start_response("500 Internal Server Error", [("Content-Type", "application/xml")])
        bodiless = method == "HEAD" or head[0].split()[1] in _BODILESS
        if not bodiless or (method == "HEAD" and "content-length" not in named):
            head.append(f"Content-Length: {len(body)}\r\n")
        head.append("\r\n" if keep else "Connection: close\r\n\r\n")
        data = "".join(head).encode("latin-1")
        self.wfile.write(data if bodiless else data + body)
