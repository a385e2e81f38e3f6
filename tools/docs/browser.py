"""A headless Chromium that opens pages of the documentation's site, driven over a pipe by the DevTools protocol.

https://chromedevtools.github.io/devtools-protocol/ describes the calls. The browser reads them from descriptor 3,
writes answers and events to descriptor 4, and ends each message with a zero byte.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import functools
import http.server
import json
import os
import select
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Names under which the browser is searched on the path."""

ABSENT = "needs Chromium on the path: `apt-get install chromium`, or any other package of Chromium or Chrome"
"""Reason to give where there is no browser."""

CALL_SECONDS = 30.0
"""Deadline of one call, in seconds."""

END_SECONDS = 10.0
"""Time that the browser has to end after it was asked to, in seconds."""

AT_REST = """
addEventListener("DOMContentLoaded", () => {
  const style = document.createElement("style")
  style.textContent = "*, *::before, *::after { transition: none !important; animation: none !important }"
  document.head.append(style)
})
"""
"""Script that runs in each page before its own, so that all animations of the page end at once."""

SETTLED = "document.fonts.ready.then(() => new Promise(requestAnimationFrame)).then(() => null)"
"""Expression whose promise resolves when the page's fonts are loaded and the page is drawn."""

OPTIONS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""Options of the browser. It resolves no name, so that it reaches only this machine."""


class BrowserError(Exception):
    """The browser refused a call, did not answer in time, or ended."""


@dataclass(frozen=True)
class Screen:
    """The screen that a page is shown on."""

    width: int
    """Width in CSS pixels."""
    height: int
    """Height in CSS pixels."""
    dark: bool
    """Whether the system prefers dark colours."""

    @property
    def name(self) -> str:
        """The screen in a file's name or a test's message."""
        return f"{self.width}-{'dark' if self.dark else 'light'}"


DESKTOP = Screen(1280, 800, dark=False)
PHONE = Screen(390, 844, dark=False)
SCREENS = (DESKTOP, Screen(1280, 800, dark=True), PHONE, Screen(390, 844, dark=True))
"""A desktop screen and a phone, each in both colour schemes."""


def path() -> str | None:
    """Return the browser's path, None where there is none."""
    return next((found for found in map(shutil.which, NAMES) if found), None)


class Browser:
    """One page of one browser process."""

    def __init__(self, program: str, profile: Path) -> None:
        calls_read, self._calls = _pipe()
        self._events, events_write = _pipe()
        # Content comes from this machine only, and the inner sandbox does not start for root.
        options = [*OPTIONS, *(["--no-sandbox"] if os.geteuid() == 0 else []), f"--user-data-dir={profile}"]
        self._pid = os.posix_spawn(
            program,
            [program, *options, "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, calls_read, 3),
                (os.POSIX_SPAWN_DUP2, events_write, 4),
            ],
        )
        os.close(calls_read)
        os.close(events_write)
        self._buffer = b""
        self._number = 0
        self._session = ""
        self._seen: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=AT_REST)

    def close(self) -> None:
        """End the browser and wait for its process."""
        self._session = ""
        with contextlib.suppress(BrowserError):
            self.call("Browser.close")
        for descriptor in (self._calls, self._events):
            os.close(descriptor)
        waiter = threading.Thread(target=os.waitpid, args=(self._pid, 0))
        waiter.start()
        waiter.join(END_SECONDS)
        if waiter.is_alive():
            os.kill(self._pid, signal.SIGKILL)
            waiter.join()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        try:
            os.write(self._calls, json.dumps(message).encode() + b"\0")
        except BrokenPipeError as error:
            raise BrowserError(f"{method}: the browser has ended") from error
        while True:
            answer = self._next(method)
            if answer.get("id") == self._number:
                break
            self._seen.append(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self, waiting_for: str) -> dict[str, Any]:
        """Return the next answer or event."""
        end = time.monotonic() + CALL_SECONDS
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._events], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise BrowserError(f"{waiting_for}: no answer within {CALL_SECONDS:.0f} s")
            received = os.read(self._events, 1 << 20)
            if not received:
                raise BrowserError(f"{waiting_for}: the browser has ended")
            self._buffer += received
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def show_on(self, screen: Screen) -> None:
        """Show the pages opened from now on this screen."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=screen.width,
            height=screen.height,
            deviceScaleFactor=1,
            mobile=screen.width < DESKTOP.width,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if screen.dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> list[str]:
        """Open a page, wait until it is drawn, and return its faults: failed requests and errors of scripts."""
        self._seen.clear()
        self.call("Page.navigate", url=address)
        while not any(event.get("method") == "Page.loadEventFired" for event in self._seen):
            self._seen.append(self._next(f"load {address}"))
        self.run(SETTLED)
        return [fault for event in self._seen if (fault := _fault(event))]

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page; a promise is awaited."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{script}: {_exception(answer['exceptionDetails'])}")
        return answer["result"].get("value")

    def picture(self, top: int, height: int, width: int) -> bytes:
        """Return a PNG of a part of the page, which may be outside the screen."""
        clip = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
        answer = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(answer["data"])


def _pipe() -> tuple[int, int]:
    """Return both ends of a pipe, under numbers that do not collide with those the browser expects."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


def _fault(event: dict[str, Any]) -> str:
    """Return the fault that an event reports, empty for any other event."""
    details = event.get("params", {})
    match event.get("method"):
        case "Network.loadingFailed" if not details.get("canceled"):
            return f"request failed: {details['errorText']}"
        case "Network.responseReceived" if details["response"]["status"] >= 400:
            return f"{details['response']['url']}: {details['response']['status']}"
        case "Runtime.exceptionThrown":
            return f"exception: {_exception(details['exceptionDetails'])}"
        case "Runtime.consoleAPICalled" if details["type"] == "error":
            return f"console: {[argument.get('value') for argument in details['args']]}"
        case "Log.entryAdded" if details["entry"]["level"] == "error":
            return f"log: {details['entry']['text']}"
    return ""


def _exception(details: dict[str, Any]) -> str:
    return str(details.get("exception", {}).get("description") or details["text"])


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """A handler of files that prints no line per request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback interface and return its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Start the browser with an empty profile, and end it."""
    program = path()
    if program is None:
        raise BrowserError(ABSENT)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        started = Browser(program, Path(profile))
        try:
            yield started
        finally:
            started.close()
