"""Install a lock file into a virtual environment: `python3 tools/environment.py LOCK FOLDER`.

Runs with any Python and needs no package. It installs with uv, which takes seconds: the one on the path, or the one
that `requirements/installer.lock` names, fetched from the package index. Where neither works, it installs with pip.
Every package is checked against the hashes of its lock. uv does not read pip's settings, so they are handed over.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = (3, 11)
"""Oldest Python that the project runs with."""

INSTALLER_LOCK = ROOT / "requirements" / "installer.lock"
"""The locked uv."""

NEEDS: Mapping[str, tuple[int, str, str]] = {
    "demo": (300, "15 seconds", "one minute"),
    "dev": (900, "30 seconds", "4 minutes"),
    "floor": (350, "15 seconds", "2 minutes"),
}
"""By lock file: megabytes on disk, and the time with uv and with pip. Measured on two cores with an empty cache."""

TICK_SECONDS = 0.5
"""Interval at which the bar is drawn."""

REPORT_SECONDS = 15.0
"""Interval of progress lines where the output is no terminal."""

_PACKAGE = re.compile(r"^[A-Za-z0-9._-]+==", re.MULTILINE)
_STARTED = re.compile(r"^\s*(Collecting|Requirement already satisfied)\b")


class SetUpError(Exception):
    """The environment could not be made; the text holds the reason and the remedy."""


def main(arguments: list[str]) -> int:
    """Make the environment and return the exit code: 0 when it is ready, 1 when it is not."""
    parser = argparse.ArgumentParser(prog="python3 tools/environment.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("lock", help="name of the lock file in requirements/, without its ending")
    parser.add_argument("folder", type=Path, help="folder of the virtual environment")
    given = parser.parse_args(arguments)
    lock = ROOT / "requirements" / f"{given.lock}.lock"
    begun = time.monotonic()
    try:
        check_python(sys.version_info[:2])
        python = make_environment(given.folder)
        uv = find_uv(python)
        announce(lock, given.folder, uv is not None)
        installed = uv is not None and install_with_uv(uv, python, lock)
        if not installed:
            install_with_pip(python, lock, sys.stderr)
        install_project(python, uv if installed else None)
    except SetUpError as e:
        sys.stderr.write(f"error: {e}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    sys.stderr.write(f"{given.folder} is ready ({time.monotonic() - begun:.0f} s)\n")
    return 0


def check_python(version: tuple[int, ...]) -> None:
    """Raise `SetUpError` if a Python is too old."""
    if version < OLDEST_PYTHON:
        found, wanted = (".".join(map(str, v)) for v in (version, OLDEST_PYTHON))
        raise SetUpError(
            f"Python {found}: {wanted} or later is needed; name one, for example `make demo PYTHON=python{wanted}`"
        )


def make_environment(folder: Path) -> Path:
    """Create a virtual environment unless it exists, and return its interpreter. Raises `SetUpError`."""
    python = folder / "bin" / "python"
    if not python.exists():
        made = subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True)
        if made.returncode:
            shutil.rmtree(str(folder), ignore_errors=True)
            why = last_line(made.stdout + made.stderr)
            raise SetUpError(f"no virtual environment: {why}; install the system's package for `venv`")
    return python.absolute()


def find_uv(python: Path) -> str | None:
    """Return the path of uv, fetched into the environment if there is none. None where it can't be fetched."""
    own = python.with_name("uv")
    if own.exists():
        return str(own)
    found = shutil.which("uv")
    if found:
        return found
    sys.stderr.write("fetching uv, the installer (25 MB)\n")
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-compile",
    ]
    fetched = subprocess.run(
        [*command, "--only-binary", ":all:", "--require-hashes", "-r", str(INSTALLER_LOCK)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return str(own) if fetched.returncode == 0 and own.exists() else None


def announce(lock: Path, folder: Path, fast: bool) -> None:
    """Print what is installed, its size and the time that it takes."""
    megabytes, with_uv, with_pip = NEEDS[lock.stem]
    sys.stderr.write(
        f"installing {package_count(lock.read_text(encoding='utf-8'))} locked packages into {folder}, once: "
        f"about {megabytes} MB and {with_uv if fast else with_pip}\n"
    )


def package_count(lock: str) -> int:
    """Return the number of packages that a lock file names."""
    return len(_PACKAGE.findall(lock))


def install_with_uv(uv: str, python: Path, lock: Path) -> bool:
    """Install a lock with uv, which shows its own progress. Return whether it could."""
    settings = pip_settings(run_quietly([str(python), "-m", "pip", "config", "list"]))
    command = [uv, "pip", "install", "--python", str(python), "--require-hashes", "-r", str(lock)]
    # Every package is pinned by its hash, so the index that a package comes from makes no difference.
    command += [] if sys.stderr.isatty() else ["--quiet"]
    command += ["--no-config", "--index-strategy", "unsafe-best-match", *uv_options(settings, os.environ)]
    done = subprocess.run(command, env={**os.environ, **uv_variables(settings, os.environ)})
    if done.returncode:
        sys.stderr.write("uv could not install the packages; installing them with pip\n")
    return done.returncode == 0


def pip_settings(listed: str) -> dict[str, str]:
    """Return pip's settings from the lines of `pip config list`. Later lines override earlier ones."""
    settings: dict[str, str] = {}
    for line in listed.splitlines():
        name, sign, value = line.partition("=")
        scope, _, key = name.strip().rpartition(".")
        if sign and scope in ("global", "install", ":env:"):
            try:
                settings[key] = str(ast.literal_eval(value.strip()))
            except (SyntaxError, ValueError):
                continue
    return settings


def uv_options(settings: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    """Return uv's options for pip's indexes. Indexes that are set for uv itself stay."""
    options: list[str] = []
    if not any(name in environment for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL")) and settings.get("index-url"):
        options += ["--default-index", settings["index-url"]]
    for key, option in (
        ("extra-index-url", "--index"),
        ("find-links", "--find-links"),
        ("trusted-host", "--allow-insecure-host"),
    ):
        for value in settings.get(key, "").split():
            options += [option, value]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        options.append("--no-index")
    return options


def uv_variables(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables with which uv uses pip's certificates and proxy."""
    variables: dict[str, str] = {}
    for key, names in (("cert", ("SSL_CERT_FILE",)), ("proxy", ("HTTPS_PROXY", "HTTP_PROXY"))):
        for name in names:
            if settings.get(key) and name not in environment:
                variables[name] = settings[key]
    return variables


def install_with_pip(python: Path, lock: Path, screen: IO[str]) -> None:
    """Install a lock with pip and show a bar. Raises `SetUpError` with pip's last line."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"]
    command += ["--progress-bar", "off", "--no-deps", "--require-hashes", "-r", str(lock)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    total = package_count(lock.read_text(encoding="utf-8"))
    before = installed_count(python)
    seen = Seen()
    reader = threading.Thread(target=seen.read, args=(process.stdout,), daemon=True)
    reader.start()
    bar = Bar(screen, 2 * total)
    while process.poll() is None:
        bar.show(min(seen.packages, total) + min(installed_count(python) - before, total))
        time.sleep(TICK_SECONDS)
    reader.join()
    process.stdout.close()
    if process.returncode:
        bar.leave()
        raise SetUpError(f"pip could not install {lock.name}: {seen.last}; check its package index")
    bar.show(2 * total)
    bar.leave()


class Seen:
    """The output of pip so far."""

    def __init__(self) -> None:
        self.packages = 0
        """Packages that were fetched, or were there."""
        self.last = "no message"
        """The last line that is no blank."""

    def read(self, lines: Iterable[str]) -> None:
        """Read pip's lines to their end."""
        for line in lines:
            self.packages += bool(_STARTED.match(line))
            self.last = line.strip() or self.last


class Bar:
    """A bar on a terminal, or a line every 15 seconds elsewhere. Ends at 100 %."""

    def __init__(self, screen: IO[str], total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._screen, self._total, self._clock = screen, max(total, 1), clock
        self._live = screen.isatty() and os.environ.get("TERM") != "dumb"
        self._begun = self._printed = clock()

    def show(self, done: int) -> None:
        """Draw the bar for `done` steps."""
        share, now = min(done / self._total, 1.0), self._clock()
        if self._live:
            cells = int(30 * share)
            text = "#" * cells + "-" * (30 - cells)
            self._screen.write(f"\r[{text}] {share:4.0%} {now - self._begun:4.0f} s")
        elif now - self._printed >= REPORT_SECONDS or share == 1.0:
            self._printed = now
            self._screen.write(f"{share:.0%} after {now - self._begun:.0f} s\n")
        self._screen.flush()

    def leave(self) -> None:
        """End the bar's line."""
        if self._live:
            self._screen.write("\n")


def installed_count(python: Path) -> int:
    """Return the number of packages in an environment."""
    return sum(1 for _ in python.parent.parent.glob("lib/python*/site-packages/*.dist-info"))


def install_project(python: Path, uv: str | None) -> None:
    """Make the project's own command available in the environment. Raises `SetUpError`."""
    pip = [uv, "pip", "install", "--python", str(python), "--offline", "--no-config"] if uv else []
    pip = pip or [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-index"]
    command = [*pip, "--quiet", "--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    done = subprocess.run(
        command, cwd=str(ROOT), env={**os.environ, "PYTHONWARNINGS": "ignore"}, capture_output=True, text=True
    )
    if done.returncode:
        raise SetUpError(f"the project could not be installed: {last_line(done.stdout + done.stderr)}")


def run_quietly(command: list[str]) -> str:
    """Return a command's output, empty if it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout if done.returncode == 0 else ""


def last_line(text: str) -> str:
    """Return the last line that is no blank."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
