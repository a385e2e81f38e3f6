"""Run a command in a terminal of a fixed size, and show what it printed as text or as a picture."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS, LINES = 80, 200
"""Size of the terminal. It has many lines, so that no output is cut off."""

FRAME = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>{title}</title>
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""rich's picture of a terminal, without the fonts that rich loads from elsewhere."""


@dataclass(frozen=True)
class Shown:
    """What a command printed."""

    code: int
    """Exit code."""

    output: str
    """Standard output, with its colours."""

    errors: str
    """Standard error, as plain text."""

    def text(self) -> str:
        """Return the output without colours and without blanks at the ends of lines."""
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.output)
        return "\n".join(line.rstrip() for line in plain.splitlines()).strip("\n") + "\n"


def run(command: Sequence[str], environment: Mapping[str, str], timeout: float = 120) -> Shown:
    """Run a command whose standard output is a terminal of `COLUMNS` columns. Raises `TimeoutExpired`."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    size = {"COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command, env={**environment, **size}, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE
    )
    os.close(theirs)
    try:
        output = _read(ours)
        _, errors = process.communicate(timeout=timeout)
    finally:
        os.close(ours)
        if process.poll() is None:
            process.kill()
    return Shown(process.returncode, output.replace("\r\n", "\n"), errors.decode())


def _read(terminal: int) -> str:
    chunks = []
    while True:
        try:
            chunk = os.read(terminal, 65_536)
        except OSError:  # Linux: the other end is closed
            break
        if not chunk:
            break
        chunks.append(chunk)
    return b"".join(chunks).decode()


def picture(ansi: str, title: str, name: str) -> str:
    """Return an SVG of a terminal that shows a text with colours. `name` is unique among the pictures of a page."""
    console = recorder()
    console.print(Text.from_ansi(ansi.strip("\n")), soft_wrap=True)
    return drawn(console, title, name)


def recorder() -> Console:
    """Return a console that remembers what is printed, and prints nothing."""
    return Console(record=True, width=COLUMNS, file=io.StringIO(), highlight=False)


def drawn(console: Console, title: str, name: str) -> str:
    """Return an SVG of what a recorder was given."""
    return console.export_svg(title=title, theme=MONOKAI, code_format=FRAME.replace("{title}", title), unique_id=name)
