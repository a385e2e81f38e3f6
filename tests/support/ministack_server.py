"""Provide ministack as a server of the contract tests; it verifies signatures and evaluates IAM policies."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3

from dualsync.runtime.aws.boto3_bridge import client_config
from dualsync.runtime.aws.credentials import Credential
from tests.support.moto_server import UsEast1Server, free_port
from tests.support.tls import make_authority

ROOT = Path(__file__).resolve().parents[2]
INTERPRETER = ROOT / "build" / "conformity" / "bin" / "python"
"""Created by `make conformity` from requirements/conformity.lock, because ministack needs another botocore."""
REGION = "us-east-1"
ACCOUNT = "111111111111"
START_SECONDS = 60.0
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def interpreter() -> Path | None:
    """Return the interpreter that has ministack, if there is one."""
    named = os.environ.get("MINISTACK_PYTHON")
    found = Path(named) if named else INTERPRETER
    return found if found.exists() else None


class Ministack(UsEast1Server):
    """A running ministack. Its clients sign with the key of an IAM user, because it does not verify root keys.

    With `tls` it serves HTTPS only. Then other clients need `AWS_CA_BUNDLE` with the path `authority`.
    """

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        python = interpreter()
        if python is None:
            raise RuntimeError("ministack is not installed; run `make conformity`")
        port = free_port()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        self.authority = make_authority(folder)[0] if tls else ""
        clock = folder / "offset"
        super().__init__(clock)
        self.log = folder / "ministack.log"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "AUTH": "true",
            "LOG_LEVEL": "WARNING",
            "DOCKER_HOST": "unix:///nonexistent",
            "QUEUE_CLOCK": str(clock),
        }
        if tls:
            pair = str(Path(self.authority).with_name("server.pem"))
            environment |= {"USE_SSL": "1", "MINISTACK_SSL_CERT": pair, "MINISTACK_SSL_KEY": pair}
        command = [str(python), "-P", str(Path(__file__).with_name("ministack_process.py"))]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        self._clients: dict[str, Any] = {}
        try:
            self._wait()
            self.credential = self.make_user(ACCOUNT, "tests", EVERYTHING)[1]
        except BaseException:
            self.stop()
            raise

    def client(self, service: Any, region: str = REGION) -> Any:
        """Return a boto3 client with the key of a user who may do everything."""
        if service not in self._clients:
            self._clients[service] = self.session_client(self.credential, service)
        return self._clients[service]

    def session_client(self, credential: Credential, service: Any) -> Any:
        """Return a boto3 client with this key."""
        session = boto3.Session(credential.access_key_id, credential.secret_access_key, region_name=REGION)
        config = client_config(16, "path")
        return session.client(service, endpoint_url=self.url, config=config, verify=self.authority or None)

    def make_user(self, account: str, name: str, policy: dict[str, Any]) -> tuple[str, Credential]:
        """Return the id and the key of a new user with a policy; the account's number is its root key."""
        iam = self.session_client(Credential(account, "test"), "iam")
        user_id = iam.create_user(UserName=name)["User"]["UserId"]
        iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return str(user_id), Credential(key["AccessKeyId"], key["SecretAccessKey"])

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        end = time.monotonic() + START_SECONDS
        trust = ssl.create_default_context(cafile=self.authority) if self.authority else None
        address = f"{self.url}/_ministack/health"
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(address, timeout=5, context=trust):
                return
            time.sleep(0.1)
        raise RuntimeError(f"ministack does not answer: {self.log.read_text()[-2000:]}")
