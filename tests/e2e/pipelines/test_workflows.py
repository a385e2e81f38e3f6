"""Test every workflow: pinned actions, least permissions, no long-lived key, only scripts as steps."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dualsync.runtime.settings import SideName
from tools.iam_roles.trust import job as job_of

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def load(path: Path) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as true.
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return {("on" if k is True else k): v for k, v in found.items()}


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            yield path.stem, name, job


JOBS = list(jobs())
each_job = pytest.mark.parametrize(("workflow", "name", "job"), JOBS, ids=[f"{w}-{n}" for w, n, _ in JOBS])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_every_action_is_pinned_by_its_commit_and_names_its_release(path: Path) -> None:
    uses = re.findall(r"uses: (\S+)(.*)", path.read_text())
    assert uses
    for action, rest in uses:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", rest), action


def test_one_action_has_one_pin() -> None:
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for action, commit in re.findall(r"uses: ([\w/-]+)@([0-9a-f]{40})", path.read_text()):
            pins.setdefault(action, set()).add(commit)
    assert all(len(commits) == 1 for commits in pins.values()), pins


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_no_workflow_has_a_long_lived_key(path: Path) -> None:
    text = path.read_text()
    assert "secrets." not in text
    assert "access-key" not in text.lower()
    assert "pull_request_target" not in text


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda p: p.stem)
def test_permissions_are_read_only_unless_a_job_declares_others(path: Path) -> None:
    assert load(path)["permissions"] == {"contents": "read"}


@each_job
def test_a_job_may_do_what_its_steps_need(workflow: str, name: str, job: dict[str, Any]) -> None:
    scripts = [step.get("run", "").split(" ")[0] for step in job.get("steps", ())]
    wanted = {"contents": "read"}
    if ".ci/login" in scripts:
        wanted["id-token"] = "write"
    if ".ci/comment" in scripts:
        wanted["pull-requests"] = "write"
    if ".ci/release" in scripts:
        wanted["contents"] = "write"
    actions = {step.get("uses", "").partition("@")[0] for step in job.get("steps", ())}
    if actions & {"actions/attest-build-provenance", "pypa/gh-action-pypi-publish"}:
        wanted["id-token"] = "write"
    if "actions/attest-build-provenance" in actions:
        wanted["attestations"] = "write"
    assert job.get("permissions", {"contents": "read"}) == wanted


@each_job
def test_every_step_is_an_action_or_a_script_of_ours_with_arguments(
    workflow: str, name: str, job: dict[str, Any]
) -> None:
    for step in job.get("steps", ()):
        if "run" in step:
            words = step["run"].split(" ")
            script = ROOT / words[0]
            assert words[0].startswith(".ci/"), step["run"]
            assert script.stat().st_mode & 0o100, f"{script} can't be run"
            assert not re.search(r"[;&|`\n]|\$\{\{", step["run"]), step["run"]


@each_job
def test_no_checkout_leaves_a_token_behind(workflow: str, name: str, job: dict[str, Any]) -> None:
    for step in job.get("steps", ()):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@each_job
def test_every_job_has_a_timeout(workflow: str, name: str, job: dict[str, Any]) -> None:
    assert "uses" in job or job["timeout-minutes"] <= 60


def test_a_forks_pull_request_never_reaches_the_accounts() -> None:
    preview = load(ROOT / ".github/workflows/preview.yml")
    condition = preview["jobs"]["state"]["if"]
    assert "github.event.workflow_run.head_repository.full_name == github.repository" in condition
    assert "github.event.workflow_run.event == 'pull_request'" in condition
    assert preview["jobs"]["preview"]["needs"] == "state"


def test_a_preview_runs_the_scripts_and_the_pack_of_main_and_reviewers_see_the_branch_first() -> None:
    workflow = load(ROOT / ".github/workflows/preview.yml")
    # Such a run takes workflow, scripts and tokens of the default branch, whatever the branch contains.
    assert {*workflow["on"]} == {"workflow_run"}
    jobs = workflow["jobs"]
    assert (jobs["state"]["environment"], jobs["preview"]["environment"]) == ("preview-state", "preview")
    checkouts = [
        s.get("with", {}) for s in jobs["preview"]["steps"] if s.get("uses", "").startswith("actions/checkout@")
    ]
    assert [c.get("path") for c in checkouts] == [None, "change"]
    assert "ref" not in checkouts[0]
    (command,) = [s["run"] for s in jobs["preview"]["steps"] if s.get("run", "").startswith(".ci/preview")]
    assert command == ".ci/preview -C change -s states -o preview.md"


def test_code_of_a_branch_runs_without_the_state_and_without_a_writing_token() -> None:
    jobs = load(ROOT / ".github/workflows/preview.yml")["jobs"]
    branch = [
        name
        for name, job in jobs.items()
        if any("path" in s.get("with", {}) and s["with"]["path"] == "change" for s in job["steps"])
    ]
    assert branch == ["preview"]
    assert not any("PULUMI" in name for name in jobs["preview"]["env"])
    assert "write" not in {v for k, v in jobs["preview"]["permissions"].items() if k != "id-token"}
    logins = [s["run"] for s in jobs["preview"]["steps"] if s.get("run", "").startswith(".ci/login")]
    assert logins == [".ci/login --accounts-only"]
    assert not any("GH_TOKEN" in s.get("env", {}) for s in jobs["preview"]["steps"])


def test_each_sides_job_has_the_other_sides_hand_over_role() -> None:
    jobs = load(ROOT / ".github/workflows/deploy.yml")["jobs"]
    for side, peer in (("cn", "global"), ("global", "cn")):
        environment = jobs[side]["env"]
        assert environment[f"{side.upper()}_ROLE"] == f"${{{{ vars.{side.upper()}_DEPLOY_ROLE }}}}"
        assert environment[f"{peer.upper()}_ROLE"] == f"${{{{ vars.{peer.upper()}_HAND_OVER_ROLE }}}}"


def test_a_job_with_a_role_installs_the_deploy_lock_alone() -> None:
    for workflow, name, job in JOBS:
        scripts = [step.get("run", "") for step in job.get("steps", ())]
        if any(s.startswith(".ci/login") for s in scripts):
            assert ".ci/install" not in scripts, (workflow, name)


READS_STACKS = {path.name for path in (ROOT / ".ci").iterdir() if "PULUMI_STACK_PREFIX" in path.read_text()}
"""Scripts that select stacks by their names in the state."""


def runs(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job.get("steps", ()) if "run" in step]


def test_every_script_that_selects_a_stack_prefixes_its_name() -> None:
    wanted = {
        path.name
        for path in (ROOT / ".ci").iterdir()
        if re.search(r"^[^#]*(pulumi \S.* --stack|-m dualsync\.runtime) ", path.read_text(), re.MULTILINE)
    }
    assert {"up", "drift", "preview", "redacted-state", "smoke"} <= wanted
    assert wanted <= READS_STACKS


@each_job
def test_a_job_that_reads_the_stacks_is_signed_in_to_their_state(workflow: str, name: str, job: dict[str, Any]) -> None:
    lines = runs(job)
    for index, line in enumerate(lines):
        # A preview of redacted states uses a backend of its own.
        if line.split(" ")[0].removeprefix(".ci/") in READS_STACKS and " -s " not in line:
            assert ".ci/login" in lines[:index]
            environment = load(ROOT / f".github/workflows/{workflow}.yml").get("env", {}) | job.get("env", {})
            assert {"PULUMI_BACKEND_URL", "PULUMI_ORG", "PULUMI_STACK_PREFIX"} <= set(environment)


def test_the_documentation_names_every_subject_that_signs_in_to_pulumi_cloud() -> None:
    text = (ROOT / "docs" / "pipelines.md").read_text()
    chapter = text[text.index("## State in Pulumi Cloud") : text.index("## Two companies")]
    named = re.search(r"the subjects of the trust documents of (.+?)\.", chapter.replace("\n", " "))
    assert named is not None
    subjects = {job_of(role, side) for role in re.findall(r"`([a-z-]+)`", named[1]) for side in SideName}
    assert subjects == {(f"environment:{job['environment']}", w) for w, _, job in JOBS if ".ci/login" in runs(job)}


def test_the_workflows_and_environments_are_those_that_the_roles_trust() -> None:
    for role in ("deploy", "hand-over", "drift", "preview", "smoke", "state"):
        for side in SideName:
            context, workflow = job_of(role, side)
            environments = {j.get("environment") for w, _, j in JOBS if w == workflow}
            assert context.removeprefix("environment:") in environments, (role, side)


def test_main_is_deployed_in_order_and_each_side_waits_for_its_reviewers() -> None:
    found = load(ROOT / ".github/workflows/deploy.yml")["jobs"]
    assert found["checks"]["uses"] == "./.github/workflows/checks.yml"
    assert found["cn"]["needs"] == "checks"
    assert found["cn"]["environment"] == "cn"
    assert found["global"]["needs"] == ["checks", "cn"]
    assert found["global"]["environment"] == "global"
    assert "needs.cn.result == 'success'" in found["global"]["if"]
    assert found["smoke"]["needs"] == ["cn", "global"]
    assert found["cn"]["steps"][-1]["run"] == '.ci/up "$GITHUB_JOB"'
    assert found["smoke"]["steps"][-1]["run"] == ".ci/smoke"


def test_a_deployment_is_never_cancelled_and_drift_is_not_checked_during_it() -> None:
    deploy, drift = (load(ROOT / f".github/workflows/{n}.yml") for n in ("deploy", "drift"))
    assert deploy["concurrency"] == drift["concurrency"] == {"group": "deploy", "cancel-in-progress": False}


def test_each_task_has_a_role_of_its_own() -> None:
    texts = {path.stem: path.read_text() for path in WORKFLOWS}
    for workflow, roles in (
        ("preview", {"PREVIEW", "STATE"}),
        ("drift", {"DRIFT"}),
        ("deploy", {"DEPLOY", "HAND_OVER", "SMOKE"}),
    ):
        for side in ("CN", "GLOBAL"):
            assert set(re.findall(rf"vars\.{side}_(\w+)_ROLE", texts[workflow])) == roles


def test_a_release_is_checked_built_signed_and_then_published() -> None:
    found = load(ROOT / ".github/workflows/release.yml")
    jobs = found["jobs"]
    assert found["on"] == {"push": {"tags": ["v*"]}}
    assert jobs["checks"]["uses"] == "./.github/workflows/checks.yml"
    assert {name: job.get("needs") for name, job in jobs.items()} == {
        "checks": None,
        "examples": None,
        "build": ["checks", "examples"],
        "provenance": "build",
        "github": "provenance",
        "index": "provenance",
    }
    assert [s["run"] for s in jobs["examples"]["steps"] if "run" in s] == [".ci/examples"]
    assert [s["run"] for s in jobs["build"]["steps"] if "run" in s] == [
        '.ci/dist "$TAG" build/release/dist',
        ".ci/sbom build/release/sbom",
    ]


def test_the_jobs_of_a_release_that_may_sign_run_no_code_of_the_repository() -> None:
    jobs = load(ROOT / ".github/workflows/release.yml")["jobs"]
    for name in ("provenance", "index"):
        assert jobs[name]["permissions"]["id-token"] == "write"
        actions = [step["uses"].partition("@")[0] for step in jobs[name]["steps"]]
        assert actions[0] == "actions/download-artifact"
        assert "actions/checkout" not in actions
    assert jobs["index"]["environment"] == "release"


def test_shellcheck_finds_no_fault_in_the_scripts() -> None:
    shellcheck = shutil.which("shellcheck", path=str(ROOT / ".venv/bin")) or shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("no shellcheck here: `make test` brings one")
    scripts = sorted(str(p) for p in (ROOT / ".ci").iterdir())
    done = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_actionlint_finds_no_fault_in_the_workflows() -> None:
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("no actionlint on the path: `go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12`")
    done = subprocess.run([actionlint, *map(str, WORKFLOWS)], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == ""
    assert done.returncode == 0
