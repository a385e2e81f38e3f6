"""A substitute for `pulumi` that performs only what a changed `keyVersion` does: it replaces the access key.

The order is the deployment's: create a key, update the secret in the peer's account, delete the old key.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from dualsync.runtime.settings import SideName
from sandbox.cloud.handle import Cloud

PAIR = "DUALSYNC_DRILL_PAIR"
"""Environment variable with the pair file's path."""


def install(folder: Path) -> Path:
    """Write the program `pulumi` into a folder of its own and return that folder."""
    bin = folder / "bin"
    bin.mkdir(exist_ok=True)
    script = bin / "pulumi"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.e2e.drill.pulumi "$@"\n')
    script.chmod(0o755)
    return bin


def main(arguments: list[str]) -> int:
    """Run `config get`, `config set` or `up` of one stack."""
    pair = Path(os.environ[PAIR])
    stack = arguments[arguments.index("--stack") + 1]
    file = pair.with_name(f"version-{stack}.json")
    versions: dict[str, str] = json.loads(file.read_text()) if file.exists() else {"wanted": "1", "deployed": "1"}
    match arguments:
        case ["config", "get", *_]:
            print(versions["wanted"])
        case ["config", "set", _, value, *_]:
            file.write_text(json.dumps(versions | {"wanted": value}))
        case ["up", *_]:
            if versions["wanted"] != versions["deployed"]:
                replace_key(json.loads(pair.read_text()), SideName(stack))
            file.write_text(json.dumps(versions | {"deployed": versions["wanted"]}))
            print(f"stack {stack} is up to date")
        case _:
            return 2
    return 0


def replace_key(pair: dict[str, dict[str, str]], side: SideName) -> None:
    """Replace the access key of the side's dedicated user."""
    facts, peer = pair[side], pair[side.peer]
    environment: dict[str, str] = json.loads(json.dumps(facts["environment"]))
    cloud = Cloud(environment["AWS_ENDPOINT_URL"])
    iam, secrets = cloud.client(side, "iam"), cloud.client(side.peer, "secretsmanager")
    old = [key["AccessKeyId"] for key in iam.list_access_keys(UserName=facts["userName"])["AccessKeyMetadata"]]
    new = iam.create_access_key(UserName=facts["userName"])["AccessKey"]
    held = json.loads(secrets.get_secret_value(SecretId=peer["secretName"])["SecretString"])
    held |= {"access_key_id": new["AccessKeyId"], "secret_access_key": new["SecretAccessKey"]}
    secrets.put_secret_value(SecretId=peer["secretName"], SecretString=json.dumps(held))
    for id in old:
        iam.delete_access_key(UserName=facts["userName"], AccessKeyId=id)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
