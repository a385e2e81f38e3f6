"""Test the pipelines' unmodified steps with fakes of the programs that they call."""

from __future__ import annotations

import configparser
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from dualsync.components.handover import identity_in
from tests.e2e.pipelines.conftest import ROOT, Runner

CN_ROLE = "arn:aws-cn:iam::111122223333:role/dualsync-deploy"
GLOBAL_ROLE = "arn:aws:iam::444455556666:role/dualsync-deploy"


class Tokens(BaseHTTPRequestHandler):
    """The pipeline's token service: returns a token for an audience to callers with the request's token."""

    def do_GET(self) -> None:
        audience = parse_qs(urlsplit(self.path).query)["audience"][0]
        known = self.headers["Authorization"] == "bearer request-token"
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"value": f"token-for-{audience}"}).encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def service() -> Iterator[dict[str, str]]:
    """Start the token service and yield the variables that a pipeline's job has for it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{server.server_port}/?api-version=2",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-token",
    }
    server.shutdown()
    thread.join()
    server.server_close()


def profiles(run: Runner, service: dict[str, str], **more: str) -> configparser.ConfigParser:
    env = run.folder / "env"
    done = run("login", **service, GITHUB_ENV=str(env), RUNNER_TEMP=str(run.folder), **more)
    assert done.returncode == 0, done.stderr
    assert "token-for" not in done.stdout + done.stderr
    path = env.read_text().strip().removeprefix("AWS_CONFIG_FILE=")
    assert Path(path).stat().st_mode & 0o077 == 0
    found = configparser.ConfigParser()
    found.read(path)
    return found


def test_each_partition_gets_the_token_of_its_audience(run: Runner, service: dict[str, str]) -> None:
    found = profiles(
        run, service, CN_ROLE=CN_ROLE, GLOBAL_ROLE=GLOBAL_ROLE, PULUMI_BACKEND_URL="s3://state?region=us-west-2"
    )
    cn, other = found["profile dualsync-cn"], found["profile dualsync-global"]
    assert (cn["role_arn"], cn["region"]) == (CN_ROLE, "cn-north-1")
    assert (other["role_arn"], other["region"]) == (GLOBAL_ROLE, "us-west-2")
    assert Path(cn["web_identity_token_file"]).read_text() == "token-for-sts.amazonaws.com.cn"
    assert Path(other["web_identity_token_file"]).read_text() == "token-for-sts.amazonaws.com"
    assert [c.arguments for c in run.calls] == [["login", "s3://state?region=us-west-2"]]


def test_the_profiles_are_parsed_by_botocore(run: Runner, service: dict[str, str]) -> None:
    import botocore.session

    env = run.folder / "env"
    run(
        "login",
        **service,
        GITHUB_ENV=str(env),
        RUNNER_TEMP=str(run.folder),
        CN_ROLE=CN_ROLE,
        PULUMI_BACKEND_URL="s3://x",
    )
    session = botocore.session.Session(profile="dualsync-cn")
    session.set_config_variable("config_file", env.read_text().strip().removeprefix("AWS_CONFIG_FILE="))
    assert session.get_scoped_config()["role_arn"] == CN_ROLE
    assert session.get_config_variable("region") == "cn-north-1"


def test_a_company_with_one_account_signs_in_to_that_one(run: Runner, service: dict[str, str]) -> None:
    found = profiles(run, service, GLOBAL_ROLE=GLOBAL_ROLE, PULUMI_BACKEND_URL="file://state")
    assert found.sections() == ["profile dualsync-global"]


def test_pulumi_cloud_gets_a_token(run: Runner, service: dict[str, str]) -> None:
    profiles(run, service, CN_ROLE=CN_ROLE, PULUMI_ORG="acme")
    (call,) = run.calls
    assert call.arguments[:4] == ["login", "--oidc-org", "acme", "--oidc-token"]
    assert Path(call.arguments[4].removeprefix("file://")).read_text() == "token-for-urn:pulumi:org:acme"


def test_a_role_of_neither_partition_is_refused(run: Runner, service: dict[str, str]) -> None:
    done = run("login", **service, RUNNER_TEMP=str(run.folder), CN_ROLE="dualsync-deploy", PULUMI_BACKEND_URL="s3://x")
    assert done.returncode != 0
    assert "dualsync-deploy: not the ARN of a role" in done.stderr
    assert run.calls == []


def test_a_refused_token_ends_the_sign_in(run: Runner, service: dict[str, str]) -> None:
    wrong = {**service, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "another"}
    done = run("login", **wrong, RUNNER_TEMP=str(run.folder), CN_ROLE=CN_ROLE, PULUMI_BACKEND_URL="s3://x")
    assert done.returncode != 0
    assert run.calls == []


def test_outside_a_pipeline_the_profiles_are_not_changed(run: Runner) -> None:
    done = run("login", PULUMI_BACKEND_URL="file://state")
    assert done.returncode == 0
    assert "using the profiles that exist" in done.stderr
    assert [c.arguments for c in run.calls] == [["login", "file://state"]]


def test_a_missing_state_is_reported_with_the_remedy(run: Runner) -> None:
    run.fake("pulumi", code=1)
    done = run("login")
    assert done.returncode == 1
    assert "PULUMI_BACKEND_URL or PULUMI_ORG" in done.stderr


def test_both_stacks_are_previewed_with_the_pack_onto_one_page(run: Runner) -> None:
    run.fake("pulumi", output="+ aws:sqs/queue:Queue ```")
    page = run.folder / "page.md"
    done = run("preview", "-o", str(page))
    assert done.returncode == 0, done.stderr
    assert [c.arguments[:5] for c in run.calls] == [
        ["preview", "--stack", stack, "--policy-pack", "policy"] for stack in ("cn", "global")
    ]
    text = page.read_text()
    assert text.count("### Stack") == 2
    assert "### Stack `cn`: as follows" in text
    # Nothing in the plan may close the page's own block.
    assert text.count("```") == 4


def test_a_job_without_a_state_signs_in_to_the_accounts_alone(run: Runner, service: dict[str, str]) -> None:
    env = run.folder / "env"
    done = run("login", "--accounts-only", **service, GITHUB_ENV=str(env), RUNNER_TEMP=str(run.folder), CN_ROLE=CN_ROLE)
    assert done.returncode == 0, done.stderr
    assert run.calls == []


def test_another_program_is_previewed_with_the_pack_of_this_checkout(run: Runner) -> None:
    change = run.folder / "change"
    change.mkdir()
    done = run("preview", "-o", str(run.folder / "page.md"), "-C", str(change), STACKS="cn")
    assert done.returncode == 0, done.stderr
    (call,) = run.calls
    assert call.arguments[:5] == ["preview", "--stack", "cn", "--policy-pack", str(ROOT / "policy")]
    assert call.arguments[5:7] == ["--policy-pack-config", str(ROOT / "policy" / "preview-levels.json")]


@pytest.mark.parametrize(
    ("project", "own", "fields"),
    [
        ({}, {}, {"access_key_id", "secret_access_key", "user_id"}),
        ({"peerIdentity": {"type": "string", "default": "role"}}, {}, {"role_arn", "user_id"}),
        ({"dualsync:peerIdentity": {"value": "role"}}, {}, {"role_arn", "user_id"}),
        ({"peerIdentity": {"default": "user"}}, {"dualsync:peerIdentity": "role"}, {"role_arn", "user_id"}),
    ],
)
def test_a_secret_hand_over_is_replaced_by_a_placeholder_of_the_pairs_kind(
    run: Runner, project: dict[str, Any], own: dict[str, Any], fields: set[str]
) -> None:
    """Preview without the secret. The program would refuse a placeholder of the other kind of identity."""
    change, states = run.folder / "change", run.folder / "states"
    change.mkdir()
    states.mkdir()
    (change / "Pulumi.yaml").write_text(json.dumps({"name": "dualsync", "config": project}))
    config = {**own, "dualsync:peerCredential": {"secure": "v1:encrypted"}}
    (change / "Pulumi.cn.yaml").write_text(json.dumps({"encryptionsalt": "v1:salt", "config": config}))
    done = run("preview", "-o", str(run.folder / "page.md"), "-C", str(change), "-s", str(states), STACKS="cn")
    assert done.returncode == 0, done.stderr
    text = (change / "Pulumi.cn.yaml").read_text()
    assert "encrypted" not in text
    placeholder = json.loads(yaml.safe_load(text)["config"]["dualsync:peerCredential"])
    assert set(placeholder) == fields
    assert identity_in(json.dumps(placeholder)) == ("role" if "role_arn" in fields else "user")


def test_a_state_is_written_without_its_secrets(run: Runner) -> None:
    mark, secret = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
    hidden = {mark: secret, "ciphertext": "v1:encrypted"}
    state = {
        "version": 3,
        "deployment": {
            "secrets_providers": {"type": "cloud", "state": {"url": "awskms://alias/x", "encryptedkey": "abc"}},
            "resources": [{"urn": "u", "outputs": {"secret": hidden, "list": [hidden], "plain": "text"}}],
        },
    }
    run.fake("pulumi", output=json.dumps(state))
    folder = run.folder / "states"
    done = run("redacted-state", str(folder), STACKS="cn", PULUMI_STACK_PREFIX="acme/")
    assert done.returncode == 0, done.stderr
    assert [c.arguments for c in run.calls] == [["stack", "export", "--stack", "acme/cn"]]
    assert [p.name for p in folder.iterdir()] == ["cn.json"]
    text = (folder / "cn.json").read_text()
    assert "ciphertext" not in text
    assert "encrypted" not in text
    found = json.loads(text)["deployment"]["resources"][0]["outputs"]
    assert found["plain"] == "text"
    assert found["secret"] == found["list"][0]
    # The placeholder is a secret with all fields of a hand-over, so that the program accepts it in a preview.
    assert found["secret"][mark] == secret
    assert {*json.loads(json.loads(found["secret"]["plaintext"])).values()} == {"redacted"}


def test_a_refused_preview_is_on_the_page(run: Runner) -> None:
    run.fake("pulumi", code=255, output="[mandatory] guard-knows-own-user")
    page = run.folder / "page.md"
    done = run("preview", "-o", str(page), STACKS="cn", PULUMI_STACK_PREFIX="acme/")
    assert done.returncode == 1
    assert "### Stack `cn`: **fails or is refused**" in page.read_text()
    assert "guard-knows-own-user" in page.read_text()
    assert [c.arguments[2] for c in run.calls] == ["acme/cn"]


def test_a_long_preview_still_fits_into_a_comment(run: Runner) -> None:
    run.fake("pulumi", output="x" * 200_000 + "the end")
    page = run.folder / "page.md"
    assert run("preview", "-o", str(page)).returncode == 0
    text = page.read_text()
    assert len(text) < 65_536
    assert text.count("the end") == 2


def test_a_comment_replaces_the_earlier_one(run: Runner) -> None:
    assert run("comment", "17", "preview.md").returncode == 0
    (call,) = run.calls
    assert call.program == "gh"
    assert call.arguments == ["pr", "comment", "17", "--body-file", "preview.md", "--edit-last", "--create-if-none"]


def test_a_deployment_is_reviewed_by_the_pack(run: Runner) -> None:
    assert run("up", "cn").returncode == 0
    (call,) = run.calls
    assert call.arguments[:6] == ["up", "--stack", "cn", "--policy-pack", "policy", "--yes"]
    run.fake("pulumi", code=255)
    assert run("up", "cn").returncode == 255


def test_drift_in_one_stack_fails_and_the_other_is_still_checked(run: Runner) -> None:
    assert run("drift").returncode == 0
    assert all({"--refresh", "--expect-no-changes"} <= set(c.arguments) for c in run.calls)
    run.fake("pulumi", code=1)
    assert run("drift").returncode == 1
    assert len(run.calls) == 4


@pytest.mark.parametrize("prefix", ["", "acme/"])
def test_the_smoke_test_reads_the_stacks_of_the_organisation(run: Runner, prefix: str) -> None:
    run.fake("pulumi", code=1)
    done = run("smoke", PULUMI_STACK_PREFIX=prefix)
    assert done.returncode != 0
    assert {call.arguments[call.arguments.index("--stack") + 1] for call in run.calls} == {
        f"{prefix}cn",
        f"{prefix}global",
    }


@pytest.mark.parametrize(
    ("script", "arguments"),
    [("up", []), ("comment", ["17"]), ("redacted-state", []), ("sbom", []), ("release", ["v1"])],
)
def test_wrong_usage_is_reported_before_anything_is_done(run: Runner, script: str, arguments: list[str]) -> None:
    done = run(script, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"usage: .ci/{script}")
    assert run.calls == []


def test_the_locks_of_a_deployment_name_hashes_and_no_index() -> None:
    for name in ("deploy", "audit"):
        text = (ROOT / "requirements" / f"{name}.lock").read_text()
        packages = [line for line in text.splitlines() if line[:1].isalnum()]
        assert packages
        assert text.count("--hash=sha256:") >= len(packages)
        assert "http" not in text


def test_the_recorded_plugin_is_the_one_of_the_locked_sdk() -> None:
    deploy = (ROOT / "requirements" / "deploy.lock").read_text()
    version = next(line for line in deploy.splitlines() if line.startswith("pulumi-aws=="))[12:].split()[0]
    plugins = [line.split() for line in (ROOT / "requirements" / "plugins.lock").read_text().splitlines()]
    assert ["aws", f"v{version}"] in [p[:2] for p in plugins]


def test_plugins_are_installed_by_version_and_checked_where_a_sum_is_recorded(run: Runner) -> None:
    done = run("plugins")
    assert done.returncode == 0, done.stderr
    (call,) = run.calls
    assert call.arguments[:4] == ["plugin", "install", "resource", "aws"]
    assert ("--checksum" in call.arguments) != ("no SHA-256 is recorded" in done.stderr)


def test_the_bills_of_materials_hold_every_locked_package(run: Runner) -> None:
    done = run("sbom", str(run.folder / "sbom"))
    assert done.returncode == 0, done.stderr
    for lock in ("runtime", "deploy"):
        bill = json.loads((run.folder / "sbom" / f"{lock}.cdx.json").read_text())
        assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
        text = (ROOT / "requirements" / f"{lock}.lock").read_text()
        names = {line.partition("==")[0] for line in text.splitlines() if line[:1].isalnum()}
        assert {c["name"] for c in bill["components"]} == names
        assert all(c["externalReferences"][0]["hashes"][0]["alg"] == "SHA-256" for c in bill["components"])
