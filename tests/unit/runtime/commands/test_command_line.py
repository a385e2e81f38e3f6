"""Test the command line itself: imports, help, completion, colours, errors in one line."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dualsync.runtime.__main__ import main
from dualsync.runtime.commands.app import app
from dualsync.runtime.commands.output.formatting import count_text, duration, local_time, number, rate, size
from dualsync.runtime.commands.session import Session, parse_time
from dualsync.runtime.errors import UnavailableError
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.stacks import PairLocation, PairNotFoundError, find_pair
from dualsync.runtime.settings import SideName
from tests.support.operator_harness import Operator, settings
from tests.support.subprocesses import python

GROUPS = {"conflicts": 4, "deletions": 4, "dlq": 3}
COMMANDS = (
    *("status", "verify", "explain", "plan", "audit", "stacks", "pause", "resume", "limit", "drain", "reconcile"),
    *("rotate-key", "smoke", *GROUPS),
)


@pytest.mark.parametrize("role", ["settings", "worker", "finder"])
def test_services_import_no_command_line_modules(role: str) -> None:
    code = (
        "import sys, runtime.__main__ as m\n"
        f"code = m.main(['{role}'])\n"
        "import dualsync.runtime.app.worker\n"
        "bad = [n for n in sys.modules if n.split('.')[0] in ('typer', 'rich', 'click')"
        " or n.startswith(('dualsync.runtime.commands', 'dualsync.runtime.operations'))]\n"
        "sys.exit(repr(bad) if bad else 0)"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_help_imports_no_boto3() -> None:
    code = (
        "import sys, dualsync.runtime.commands.app\n"
        "sys.exit(repr([n for n in sys.modules if n.split('.')[0] in ('boto3', 'botocore')]) if 'boto3' in sys.modules"
        " or 'botocore' in sys.modules else 0)"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_have_help(command: str) -> None:
    answer = Operator().call(command, "--help")
    assert answer.code == 0
    assert f"dualsync {command}" in answer.out


def test_help_lists_all_commands_and_exit_codes() -> None:
    out = Operator().call("--help").out
    assert all(command in out for command in COMMANDS)
    assert "Exit codes: 0 done" in out


@pytest.mark.parametrize(("group", "count"), GROUPS.items())
def test_subcommands_have_help(group: str, count: int) -> None:
    found = next(g for g in app.registered_groups if g.name == group).typer_instance
    assert found is not None
    names = [c.name or c.callback.__name__ for c in found.registered_commands if c.callback]
    assert len(names) == count
    for name in names:
        answer = Operator().call(group, name, "--help")
        assert answer.code == 0
        assert "--json" in answer.out


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 B/s"),
        (1000, "1 kB/s"),
        (1_000_000, "1 MB/s"),
        (2_500_000, "2.5 MB/s"),
        (1024, "1 KiB/s"),
        (20 << 20, "20 MiB/s"),
        (1 << 30, "1 GiB/s"),
        (1_234_567, "1.2 MB/s"),
    ],
)
def test_rate_is_shown_in_the_unit_given(count: int, words: str) -> None:
    assert rate(count) == words


def test_counts_are_shown_in_singular_and_plural() -> None:
    assert [count_text(n, "worker") for n in (0, 1, 2)] == ["0 workers", "1 worker", "2 workers"]


@pytest.mark.parametrize("columns", ["", "60"])
def test_piped_rows_are_on_one_line_and_not_cut(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    operator = Operator()
    operator.put(SideName.CN, "k")
    operator.settle()
    etag = operator.stores[SideName.CN].rows()[0].etag
    out = operator.call("explain", "k").out
    assert "…" not in out
    (row,) = [line for line in out.splitlines() if line.startswith("object")]
    assert (row.count(etag) == 2) is not bool(columns)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("explain", ""), "the key is empty"),
        (("conflicts", "show", "xyz"), "error: no conflict has the id or key 'xyz'"),
    ],
)
def test_error_message_names_the_wrong_value(arguments: tuple[str, ...], words: str) -> None:
    answer = Operator().call(*arguments)
    assert answer.code in (1, 2)
    assert words in answer.err


def test_missing_pair_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(PairNotFoundError, match=r"nope: No such file or directory; make it"):
        find_pair(PairLocation(file=tmp_path / "nope"))


def test_shell_completion_lists_commands() -> None:
    environment = {"_DUALSYNC_COMPLETE": "complete_bash", "COMP_WORDS": "dualsync pa", "COMP_CWORD": "1"}
    done = python("from runtime.__main__ import console; import sys; sys.argv[1:] = []; console()", **environment)
    assert done.stdout.split() == ["pause"], done.stderr


def test_unknown_command_or_option_exits_with_two() -> None:
    assert main(["no-such-command"]) == 2
    assert Operator().call("status", "--no-such-option").code == 2


GREEN = "\x1b\\[[0-9;]*32m"


def live(monkeypatch: pytest.MonkeyPatch, **console: Any) -> str:
    """Return the text of the live screen's first status, ended by Ctrl-C."""
    operator = Operator()
    asyncio.run(operator.heartbeat())
    out = Console(file=io.StringIO(), force_terminal=True, width=160, height=50, **console)

    async def open_context(where: PairLocation) -> OperatorContext:
        return operator.context()

    async def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dualsync.runtime.commands.status.asyncio.sleep", interrupted)
    result = CliRunner().invoke(app, ["status", "--watch"], obj=Session(open_context=open_context, out=out))
    assert result.exit_code == 130
    file: Any = out.file
    text: str = file.getvalue()
    return text


def test_live_screen_shows_the_state_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    text = live(monkeypatch)
    assert "RUNNING" in text
    assert re.search(GREEN, text)


def test_no_color_variable_disables_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(GREEN, live(monkeypatch))


def test_error_is_printed_in_one_line() -> None:
    async def open_context(where: PairLocation) -> OperatorContext:
        raise UnavailableError("dynamodb ledger: no answer")

    result = CliRunner().invoke(app, ["status"], obj=Session(open_context=open_context))
    assert result.exit_code == 1
    assert result.stderr == "error: UnavailableError: dynamodb ledger: no answer\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("explain", "caf\udce9.txt"), "key='caf\\udce9.txt': holds bytes that are not UTF-8"),
        (("plan", "--prefix", "\udcff"), "--prefix='\\udcff': holds bytes that are not UTF-8"),
        (("pause", "cn", "--reason", "\udcff", "--yes"), "--reason='\\udcff': holds bytes that are not UTF-8"),
        (("--profile-cn", "\udcff", "status"), "--profile-cn='\\udcff': holds bytes that are not UTF-8"),
    ],
)
def test_arguments_that_are_not_utf8_are_refused_before_anything_is_done(
    arguments: tuple[str, ...], words: str
) -> None:
    operator = Operator()
    answer = operator.call(*arguments)
    assert answer.code == 2
    assert words in answer.err
    assert operator.call("audit").out == "nothing yet\n"


def test_json_is_whole_where_the_stream_has_no_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", stream)
    Session(json=True).print_result({"key": "Straße/数据.txt"}, lambda: None)
    stream.seek(0)
    assert json.loads(stream.read()) == {"key": "Straße/数据.txt"}


@pytest.mark.parametrize("text", ["999999999d", "99999d", "0001-01-01", "1969-12-31", "9999-12-31T23:59-23:59"])
def test_times_that_no_calendar_has_are_refused(text: str) -> None:
    for words in (("report", "--since"), ("report", "--until"), ("deletions", "restore", "--yes", "--since")):
        answer = Operator().call(*words, text)
        assert answer.code == 2
        assert f"{words[-1]} '{text}': is not between 1970 and 9999" in answer.err


def test_missing_pulumi_and_pair_file_name_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PairNotFoundError, match=r"pulumi is not installed here.*--pair"):
        find_pair(PairLocation(project=tmp_path))


def test_pair_is_read_from_pulumi_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a fake of Pulumi's CLI that has one stack."""
    script = tmp_path / "pulumi"
    environment = settings(SideName.CN).to_environment()
    script.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        "stack = sys.argv[sys.argv.index('--stack') + 1]\n"
        "if stack != 'cn': sys.exit(\"error: no stack named '%s' found\" % stack)\n"
        f"print(json.dumps({{'pair': 'p', 'cn': {{'accountId': '1', 'environment': {environment!r}}}}}))\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    pair = find_pair(PairLocation(project=tmp_path, profiles={SideName.CN: "me"}))
    assert pair.name == "p"
    assert list(pair.stacks) == [SideName.CN]
    assert pair.stacks[SideName.CN].profile == "me"
    assert pair.notes == [
        "side global: stack global: no stack named 'global' found, so it is not reached; give --stack-global NAME of"
        " another"
    ]
    with pytest.raises(PairNotFoundError, match="no stack named 'other' found"):
        find_pair(PairLocation(project=tmp_path, stack_names=dict.fromkeys(SideName, "other")))


def fake_pulumi(folder: Path, body: str, *, mode: int = 0o755) -> None:
    script = folder / "pulumi"
    script.write_text(
        f"#!{sys.executable}\nimport json, sys\nstack = sys.argv[sys.argv.index('--stack') + 1]\n{body}\n"
    )
    script.chmod(mode)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("print('hello')", "stack cn: pulumi answers with something else than outputs"),
        ("print('null')", "stack cn: pulumi answers with something else than outputs"),
        ("print('[\\'cn\\']')", "stack cn: pulumi answers with something else than outputs"),
        ("print('[' * 100000)", "stack cn: pulumi answers with something else than outputs"),
        ("sys.stdout.buffer.write(b'\\xe9')", "stack cn: pulumi answers with something else than outputs"),
        ("sys.stderr.buffer.write(b'error: \\xe9'); sys.exit(1)", "stack cn: \ufffd"),
        ("sys.exit('warning: A new version is available.\\nerror: wrong passphrase')", "stack cn: wrong passphrase;"),
    ],
)
def test_answer_of_pulumi_that_is_none_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    fake_pulumi(tmp_path, body)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PairNotFoundError) as caught:
        find_pair(PairLocation(project=tmp_path))
    assert words in str(caught.value)


def test_pulumi_that_cannot_be_started_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pulumi(tmp_path, "", mode=0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PairNotFoundError, match="pulumi can't be started: Permission denied"):
        find_pair(PairLocation(project=tmp_path))


def test_stack_that_cannot_be_read_is_not_left_out_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else `pause` of all would pause one direction, and exit with 0."""
    environment = settings(SideName.CN).to_environment()
    fake_pulumi(
        tmp_path,
        "if stack != 'cn': sys.exit('error: getting secrets manager: incorrect passphrase')\n"
        f"print(json.dumps({{'cn': {{'environment': {environment!r}}}}}))",
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    pair = find_pair(PairLocation(project=tmp_path))
    assert pair.unreadable == {
        SideName.GLOBAL: "side global: stack global: getting secrets manager: incorrect passphrase; repair that, or"
        " give --pair FILE"
    }
    result = CliRunner().invoke(app, ["--project", str(tmp_path), "stacks"], obj=Session())
    assert "note: side global: stack global: getting secrets manager: incorrect passphrase" in result.stderr


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_pair_file_of_another_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    """PowerShell's `>` writes UTF-16."""
    file = tmp_path / "pair.json"
    document = {"cn": {"accountId": 12345678901, "environment": settings(SideName.CN).to_environment()}}
    file.write_text(json.dumps(document), encoding=encoding)
    pair = find_pair(PairLocation(file=file))
    assert pair.stacks[SideName.CN].fact("accountId") == "012345678901"


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"cn": {"environment": {"DUALSYNC_TOMBSTONE_DAYS": "' + "9" * 5000 + '"}}}']
)
def test_absurd_pair_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pair.json"
    file.write_text(text)
    with pytest.raises(PairNotFoundError):
        find_pair(PairLocation(file=file))


def test_durations_sizes_and_times_are_human_readable() -> None:
    assert [duration(s) for s in (None, 0.44, 12, 300, 36_000, 864_000)] == [
        *("–", "0.4 s", "12 s", "5.0 min", "10 h", "10 d"),
    ]
    assert [size(n) for n in (5, 2048, 3 << 30)] == ["5 B", "2.0 KiB", "3.0 GiB"]
    assert number(1234567) == "1 234 567"
    assert local_time(0) == "–"
    assert local_time(1_790_000_000) == "2026-09-21 14:13:20Z"


def test_times_are_shown_in_local_time_with_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        monkeypatch.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        assert local_time(1_790_000_000) == "2026-09-21 22:13:20+08:00"
        now = datetime(2026, 11, 28, tzinfo=UTC)
        # A shown time is accepted as an argument.
        assert parse_time("--since", local_time(1_790_000_000), now, Session()) == 1_790_000_000
        assert parse_time("--since", "2026-09-21 22:13:20 +08:00", now, Session()) == 1_790_000_000
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert local_time(1_790_000_000) == "2026-09-21 14:13:20Z"
