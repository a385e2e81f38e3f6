"""Test installation from lock files: pip's settings for uv, the bar, the fall-back to pip, contents of the locks."""

from __future__ import annotations

import ast
import importlib.metadata
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import environment

ROOT = environment.ROOT
LOCKS = ROOT / "requirements"


def pinned(lock: str) -> dict[str, str]:
    """Return name and version of every package of a lock."""
    text = (LOCKS / lock).read_text(encoding="utf-8")
    return {name.lower(): version for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE)}


def normal(package: str) -> str:
    """Return a package's name as lock files spell it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def imported(*folders: str) -> Iterator[str]:
    """Yield every top-level module that the sources of these folders import."""
    for folder in folders:
        for path in [ROOT / folder] if folder.endswith(".py") else (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from (alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    yield node.module.partition(".")[0]


def test_small_lock_has_all_imports_of_demo_sandbox_and_program() -> None:
    found = set(imported("__main__.py", "components", "runtime", "sandbox"))
    foreign = found - set(sys.stdlib_module_names) - {"dualsync", "sandbox", "tests", "tools"}
    packages = importlib.metadata.packages_distributions()
    locked = {*pinned("demo.lock")}
    assert {"pulumi", "pulumi_aws", "boto3", "moto", "rich", "typer"} <= foreign
    missing = {name for name in foreign if not {normal(p) for p in packages.get(name, [name])} & locked}
    assert not missing


def test_small_lock_has_every_package_of_a_deployment() -> None:
    assert pinned("deploy.lock").items() <= pinned("demo.lock").items()


def test_full_lock_has_the_small_locks_versions() -> None:
    assert pinned("demo.lock").items() <= pinned("dev.lock").items()
    assert len(pinned("demo.lock")) * 2 < len(pinned("dev.lock")) + 10


@pytest.mark.parametrize("lock", ["demo.lock", "installer.lock"])
def test_locks_have_hashes_and_no_index(lock: str) -> None:
    text = (LOCKS / lock).read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text


def test_packages_of_a_lock_are_counted() -> None:
    text = "a==1 \\\n    --hash=sha256:0\n    # via b==2\nc-d==3 ; sys_platform == 'win32' \\\n"
    assert environment.package_count(text) == 2


def test_every_lock_that_make_installs_has_an_estimate() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"tools/environment\.py (\w+)", text)) == set(environment.NEEDS)


def test_settings_of_pip_are_read_in_their_order() -> None:
    listed = (
        "global.index-url='https://one/simple'\n:env:.index-url='https://two/simple'\nfreeze.timeout='10'\nbroken\n"
    )
    assert environment.pip_settings(listed) == {"index-url": "https://two/simple"}


def test_uv_uses_pips_indexes() -> None:
    settings = {
        "index-url": "https://one/simple",
        "extra-index-url": "https://two/simple\nhttps://three/simple",
        "find-links": "/wheels",
        "trusted-host": "one",
        "no-index": "true",
    }
    assert environment.uv_options(settings, {}) == [
        *("--default-index", "https://one/simple"),
        *("--index", "https://two/simple"),
        *("--index", "https://three/simple"),
        *("--find-links", "/wheels"),
        *("--allow-insecure-host", "one"),
        "--no-index",
    ]


def test_an_index_set_for_uv_is_kept() -> None:
    assert environment.uv_options({"index-url": "https://one"}, {"UV_DEFAULT_INDEX": "https://two"}) == []


def test_uv_uses_pips_certificates_and_proxy_unless_given() -> None:
    settings = {"cert": "/ca.pem", "proxy": "http://proxy"}
    assert environment.uv_variables(settings, {"HTTPS_PROXY": "http://other"}) == {
        "SSL_CERT_FILE": "/ca.pem",
        "HTTP_PROXY": "http://proxy",
    }


def test_packages_are_counted_in_pips_output() -> None:
    seen = environment.Seen()
    seen.read(["Collecting a==1\n", "  Downloading a-1.whl (1 kB)\n", "Requirement already satisfied: b==2\n", "\n"])
    assert (seen.packages, seen.last) == (2, "Requirement already satisfied: b==2")


class Terminal(io.StringIO):
    """Text kept in memory, as if on a terminal."""

    def isatty(self) -> bool:
        return True


def test_bar_starts_at_once_and_ends_at_100_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen, times = Terminal(), iter((0.0, 0.0, 1.0, 9.0))
    bar = environment.Bar(screen, 4, lambda: next(times))
    for done in (0, 2, 9):
        bar.show(done)
    bar.leave()
    frames = screen.getvalue().split("\r")[1:]
    assert frames[0].startswith(f"[{'-' * 30}]   0%")
    assert frames[-1] == f"[{'#' * 30}] 100%    9 s\n"


def test_without_a_terminal_progress_is_printed_at_intervals() -> None:
    screen, times = io.StringIO(), iter((0.0, 1.0, 16.0, 17.0, 20.0))
    bar = environment.Bar(screen, 4, lambda: next(times))
    for done in (0, 1, 2, 4):
        bar.show(done)
    bar.leave()
    assert screen.getvalue() == "25% after 16 s\n100% after 20 s\n"


def test_an_old_python_is_refused_with_the_remedy() -> None:
    with pytest.raises(environment.SetUpError, match=r"Python 3\.9: 3\.11 or later is needed; .*PYTHON=python3\.11"):
        environment.check_python((3, 9))
    environment.check_python((3, 11))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the steps of `main`, which are recorded instead of executed."""
    taken: list[str] = []

    def with_uv(uv: str, python: Path, lock: Path) -> bool:
        taken.append("uv")
        return True

    monkeypatch.setattr(environment, "make_environment", lambda folder: folder / "bin" / "python")
    monkeypatch.setattr(environment, "find_uv", lambda python: "uv")
    monkeypatch.setattr(environment, "install_with_uv", with_uv)
    monkeypatch.setattr(environment, "install_with_pip", lambda python, lock, screen: taken.append("pip"))
    monkeypatch.setattr(environment, "install_project", lambda python, uv: taken.append(f"project by {uv or 'pip'}"))
    return taken


def test_uv_installs_when_it_is_available(steps: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert environment.main(["demo", ".venv"]) == 0
    assert steps == ["uv", "project by uv"]
    count, (size, fast, _) = len(pinned("demo.lock")), environment.NEEDS["demo"]
    assert f"installing {count} locked packages into .venv, once: about {size} MB and {fast}" in capsys.readouterr().err


def test_pip_installs_where_uv_is_missing(
    steps: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "find_uv", lambda python: None)
    assert environment.main(["dev", ".venv"]) == 0
    assert steps == ["pip", "project by pip"]
    assert environment.NEEDS["dev"][2] in capsys.readouterr().err


def test_pip_installs_where_uv_fails(steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "install_with_uv", lambda uv, python, lock: False)
    assert environment.main(["demo", ".venv"]) == 0
    assert steps == ["pip", "project by pip"]


def test_a_failed_installation_is_reported_in_one_line(
    steps: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(folder: Path) -> Path:
        raise environment.SetUpError("no virtual environment: no ensurepip; install the system's package for `venv`")

    monkeypatch.setattr(environment, "make_environment", fail)
    assert environment.main(["demo", ".venv"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: no virtual environment: no ensurepip; install the system's package for `venv`"
    ]


def test_the_script_parses_under_old_pythons() -> None:
    """An old Python must parse the script to print that it is too old."""
    ast.parse((ROOT / "tools" / "environment.py").read_text(encoding="utf-8"), feature_version=(3, 8))
