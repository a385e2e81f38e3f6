"""Test the bundle builder: reproducible bytes, only runtime and dependencies, and the cache."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from pathlib import Path

import pytest

from dualsync.components.bundle.builder import Builder, download, unpack, write
from dualsync.components.config.errors import ConfigError
from dualsync.components.config.side_options import Architecture


def wheel(folder: Path, name: str, files: dict[str, str], tag: str = "py3-none-any") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-{tag}.whl"
    metadata = {
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        f"{name}-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**files, **metadata}.items():
            archive.writestr(member, text)
    return path


@pytest.fixture
def project(tmp_path: Path) -> Builder:
    """Return a builder of a runtime of two modules and one dependency, which is in a folder of wheels."""
    runtime = tmp_path / "runtime"
    for name in ("__init__.py", "edges/__init__.py", "edges/s3.py", "commands/cli.py", "__pycache__/x.pyc"):
        (runtime / name).parent.mkdir(parents=True, exist_ok=True)
        (runtime / name).write_text(f"# {name}\n")
    made = wheel(tmp_path / "wheels", "demo", {"demo/__init__.py": "x = 1\n"})
    lock = tmp_path / "runtime.lock"
    lock.write_text(f"demo==1.0 --hash=sha256:{hashlib.sha256(made.read_bytes()).hexdigest()}\n")
    return Builder(runtime=runtime, lock=lock, cache=tmp_path / "cache", wheels=tmp_path / "wheels")


def names(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return [m.name for m in archive.getmembers() if m.isfile()]


def test_a_bundle_has_runtime_and_dependencies_and_nothing_else(project: Builder) -> None:
    assert names(project.build(Architecture.ARM64).path) == [
        "demo-1.0.dist-info/METADATA",
        "demo-1.0.dist-info/RECORD",
        "demo-1.0.dist-info/WHEEL",
        "demo/__init__.py",
        "dualsync/__init__.py",
        "dualsync/runtime/__init__.py",
        "dualsync/runtime/edges/__init__.py",
        "dualsync/runtime/edges/s3.py",
    ]


def test_the_same_input_gives_the_same_bytes_in_another_folder(project: Builder, tmp_path: Path) -> None:
    first = project.build(Architecture.ARM64)
    for path in project.runtime.rglob("*.py"):
        path.touch()
    other = Builder(runtime=project.runtime, lock=project.lock, cache=tmp_path / "other", wheels=project.wheels)
    second = other.build(Architecture.ARM64)
    assert first.path != second.path
    assert first.sha256 == second.sha256 == hashlib.sha256(second.path.read_bytes()).hexdigest()


def test_a_cached_bundle_needs_no_wheels(project: Builder, tmp_path: Path) -> None:
    built = project.build(Architecture.X86_64)
    blind = Builder(runtime=project.runtime, lock=project.lock, cache=project.cache, wheels=tmp_path / "nothing")
    assert blind.build(Architecture.X86_64) == built


def test_a_changed_source_gives_another_bundle(project: Builder) -> None:
    before = project.build(Architecture.ARM64)
    (project.runtime / "edges" / "s3.py").write_text("# changed\n")
    assert project.build(Architecture.ARM64).sha256 != before.sha256


def test_operators_commands_do_not_change_the_bundle(project: Builder) -> None:
    before = project.build(Architecture.ARM64)
    (project.runtime / "commands" / "cli.py").write_text("# changed\n")
    assert project.build(Architecture.ARM64) == before


def test_a_wheel_with_another_hash_is_refused(project: Builder) -> None:
    assert project.wheels is not None
    wheel(project.wheels, "demo", {"demo/__init__.py": "x = 2\n"})
    with pytest.raises(ConfigError, match=r"bundle='arm64': pip could not fetch .*; give this machine a package index"):
        project.build(Architecture.ARM64)
    assert not list(project.cache.glob("*.tar"))


def test_a_missing_lock_is_reported_with_the_remedy(project: Builder, tmp_path: Path) -> None:
    lost = Builder(runtime=project.runtime, lock=tmp_path / "gone.lock", cache=project.cache)
    with pytest.raises(ConfigError, match=r"bundle: not given, and there is no gone.lock .*; set bundle to a folder"):
        lost.build(Architecture.ARM64)


def test_pip_selects_wheels_of_the_target_platform(tmp_path: Path) -> None:
    lines = []
    for architecture in ("aarch64", "x86_64"):
        made = wheel(tmp_path / "wheels", "native", {"native.py": ""}, f"cp311-abi3-manylinux2014_{architecture}")
        lines.append(f"--hash=sha256:{hashlib.sha256(made.read_bytes()).hexdigest()}")
    lock = tmp_path / "lock"
    lock.write_text(f"native==1.0 {' '.join(lines)}\n")
    for target, word in ((Architecture.ARM64, "aarch64"), (Architecture.X86_64, "x86_64")):
        download(lock, target, tmp_path / target, tmp_path / "wheels")
        assert [p.name for p in (tmp_path / target).iterdir()] == [f"native-1.0-cp311-abi3-manylinux2014_{word}.whl"]


def test_a_wheels_parts_are_placed_as_in_site_packages(tmp_path: Path) -> None:
    made = wheel(
        tmp_path,
        "demo",
        {
            "demo-1.0.data/purelib/demo/pure.py": "",
            "demo-1.0.data/platlib/demo/native.so": "",
            "demo-1.0.data/scripts/demo": "",
            "demo/__pycache__/x.cpython-311.pyc": "",
            "botocore/data/s3/2006-03-01/service-2.json": "",
            "botocore/data/ec2/2016-11-15/service-2.json": "",
            "botocore/data/endpoints.json": "",
        },
    )
    found = {name for name in unpack(made) if ".dist-info/" not in name}
    assert found == {
        "demo/pure.py",
        "demo/native.so",
        "botocore/data/s3/2006-03-01/service-2.json",
        "botocore/data/endpoints.json",
    }


def test_the_archive_has_no_owner_or_time_of_its_build(tmp_path: Path) -> None:
    write(tmp_path / "x.tar", {"b/c/d.py": b"1", "a.py": b"2"})
    with tarfile.open(tmp_path / "x.tar") as archive:
        members = archive.getmembers()
    assert [(m.name, oct(m.mode), m.uid, m.uname) for m in members] == [
        ("b", "0o755", 0, ""),
        ("b/c", "0o755", 0, ""),
        ("a.py", "0o644", 0, ""),
        ("b/c/d.py", "0o644", 0, ""),
    ]
    assert {m.mtime for m in members} == {315532800}
