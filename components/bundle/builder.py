"""Build the bundle: the runtime and its locked dependencies as one tar, the same bytes for the same input anywhere.

Wheels are fetched by pip for the target's architecture, never built, and unpacked as the wheel format requires. The tar
is not compressed, since compressors differ from machine to machine; botocore's models of unused services are left out
instead. A built bundle is cached by the hash of its inputs, so that a preview without a change runs no pip and needs no
network.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import dualsync
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.side_options import Architecture
from dualsync.components.project_files import RUNTIME, project_folder

PYTHON = "3.11"
"""Version of the workers' interpreter. The finder's image has a later one, for which all wheels are fit: none is
compiled."""

PLATFORMS: Mapping[Architecture, str] = {
    Architecture.ARM64: "manylinux2014_aarch64",
    Architecture.X86_64: "manylinux2014_x86_64",
}
"""Platforms of wheels: glibc 2.17, older than that of Amazon Linux 2023 (2.34) on instance and in the image."""

SERVICES = frozenset(
    ["autoscaling", "cloudwatch", "dynamodb", "ecs", "iam", "kms", "logs", "s3", "secretsmanager", "sqs", "sts"]
)
"""Service models of botocore that are included: 1 MB instead of 20."""

LAPTOP = frozenset(["commands", "operations"])
"""Parts of the runtime for operators' machines. A change in them must not replace the fleet."""

PACKAGE = "dualsync"
"""Import package that holds the runtime, in the bundle as in the checkout and in the wheel."""

FORMAT = 2
"""Raised when the way of building changes, so that bundles of older versions are not taken from the cache."""

EPOCH = 315532800
"""Time of every file: 1980-01-01, in seconds."""


@dataclass(frozen=True, slots=True)
class Built:
    """A bundle on this machine."""

    path: Path
    """The file."""
    sha256: str
    """SHA-256 of its content, hexadecimal."""

    @classmethod
    def at(cls, path: Path) -> Built:
        """Return a bundle that exists. Raises `FileNotFoundError`."""
        with path.open("rb") as file:
            return cls(path, hashlib.file_digest(file, "sha256").hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Builder of bundles."""

    runtime: Path
    """Folder of the package to bundle."""
    lock: Path | None
    """Lock file of the dependencies; None bundles the package alone."""
    cache: Path
    """Folder of built bundles."""
    wheels: Path | None = None
    """Folder of wheels to use instead of the package index, for machines without one."""

    def build(self, architecture: Architecture) -> Built:
        """Return the bundle, from the cache if its inputs are those of an earlier one. Raises `ConfigError`."""
        if self.lock is not None and not self.lock.is_file():
            raise ConfigError(
                "bundle",
                None,
                f"not given, and there is no {self.lock.name} beside this package to build one from",
                "set bundle to a folder made by `python -m dualsync.components.bundle.builder bundles FOLDER`"
                " in the source tree",
            )
        target = self.cache / f"{self._inputs(architecture)}.tar"
        if not target.exists():
            self.cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.cache) as scratch:
                made = Path(scratch) / "bundle.tar"
                write(made, {**self._dependencies(architecture, Path(scratch)), **self._sources()})
                os.replace(made, target)
        return Built.at(target)

    def _sources(self) -> dict[str, bytes]:
        return {
            f"{PACKAGE}/__init__.py": Path(dualsync.__file__).read_bytes(),
            **{
                f"{PACKAGE}/{self.runtime.name}/{path.relative_to(self.runtime).as_posix()}": path.read_bytes()
                for path in self.runtime.rglob("*")
                if path.is_file()
                and "__pycache__" not in path.parts
                and path.suffix != ".pyc"
                and path.relative_to(self.runtime).parts[0] not in LAPTOP
            },
        }

    def _dependencies(self, architecture: Architecture, scratch: Path) -> dict[str, bytes]:
        if self.lock is None:
            return {}
        folder = scratch / "wheels"
        download(self.lock, architecture, folder, self.wheels)
        files: dict[str, bytes] = {}
        for wheel in sorted(folder.glob("*.whl")):
            files.update(unpack(wheel))
        return files

    def _inputs(self, architecture: Architecture) -> str:
        digest = hashlib.sha256(f"{FORMAT} {PYTHON} {PLATFORMS[architecture]} {sorted(SERVICES)}".encode())
        if self.lock is not None:
            digest.update(self.lock.read_bytes())
        for name, content in sorted(self._sources().items()):
            digest.update(f"\0{name}\0{len(content)}\0".encode())
            digest.update(content)
        return f"{architecture}-{digest.hexdigest()[:32]}"


def default_builder() -> Builder:
    """Return a builder of the runtime beside this folder, or of the installed one. The cache follows the XDG rules."""
    root = project_folder()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dualsync" / "bundles"
    return Builder(runtime=RUNTIME, lock=root / "requirements" / "runtime.lock", cache=cache)


def download(lock: Path, architecture: Architecture, folder: Path, wheels: Path | None = None) -> None:
    """Fetch the lock's wheels for an architecture and check their hashes. Raises `ConfigError` with pip's message."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation=cp"]
    command += [f"--python-version={PYTHON}", f"--abi=cp{PYTHON.replace('.', '')}", "--abi=abi3", "--abi=none"]
    command += [f"--platform={PLATFORMS[architecture]}", f"--dest={folder}", f"--requirement={lock}"]
    if wheels is not None:
        command += ["--no-index", f"--find-links={wheels}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no shell, our own words
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise ConfigError(
            "bundle",
            str(architecture),
            f"pip could not fetch the runtime's wheels ({lines[-1] if lines else 'no pip?'})",
            "give this machine a package index and pip, or set bundle to a folder with bundles built elsewhere",
        )


def unpack(wheel: Path) -> dict[str, bytes]:
    """Return a wheel's files as in site-packages (binary distribution format: purelib and platlib go to the root).

    Left out are scripts, headers, data, compiled files, and botocore's models of unused services.
    """
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            name = _place(info.filename)
            if not info.is_dir() and name is not None:
                files[name] = archive.read(info)
    return files


def _place(name: str) -> str | None:
    parts = name.split("/")
    if parts[0].endswith(".data"):
        if parts[1] not in ("purelib", "platlib"):
            return None
        parts = parts[2:]
    if "__pycache__" in parts or parts[-1].endswith(".pyc"):
        return None
    if parts[:2] in (["botocore", "data"], ["boto3", "data"]) and len(parts) > 3 and parts[2] not in SERVICES:
        return None
    if parts[:2] == ["boto3", "examples"]:
        return None
    return "/".join(parts)


def write(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a tar of `files`: sorted, with one time, one owner and one mode."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name in _folders(files):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, EPOCH
            archive.addfile(entry)
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o644, EPOCH
            archive.addfile(entry, io.BytesIO(content))


def _folders(files: Mapping[str, bytes]) -> Iterator[str]:
    """Yield every folder above a file, parents first."""
    names = {str(parent) for name in files for parent in Path(name).parents}
    yield from sorted(names - {"."})


def main(arguments: list[str] | None = None) -> None:
    """Build all bundles (`bundles [FOLDER]`), to deploy from elsewhere, or fetch their wheels (`wheels [FOLDER]`).

    Without FOLDER they are written to build/, which git ignores.
    """
    parser = argparse.ArgumentParser(prog="python -m dualsync.components.bundle.builder", description=main.__doc__)
    parser.add_argument("what", choices=["bundles", "wheels"])
    parser.add_argument("folder", type=Path, nargs="?", help="default: build/bundles, build/wheels")
    asked = parser.parse_args(arguments)
    builder = default_builder()
    folder: Path = asked.folder or project_folder() / "build" / asked.what
    folder.mkdir(parents=True, exist_ok=True)
    for architecture in Architecture:
        if asked.what == "bundles":
            shutil.copy(builder.build(architecture).path, folder / f"{architecture}.tar")
        elif builder.lock is not None:
            download(builder.lock, architecture, folder)


if __name__ == "__main__":
    main()
