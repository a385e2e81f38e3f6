"""What a machine and a container run is this program's own script and the plan's own bundle."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dualsync.components.workers import userdata
from policy.environment import containers, environments, user_data
from policy.plan import UNKNOWN, Plan, Resource
from policy.rule import Finding, Options, Rule
from policy.rules.hardening.container import PREPARE, PREPARE_ENTRY_POINT

IMAGE_PARAMETER = "resolve:ssm:/aws/service/ami-amazon-linux-latest/"
"""Parameters of AWS that name the current Amazon Linux (EC2 User Guide, "Reference AMIs using Systems Manager")."""

FINDER = "finder"
"""Name of the container that runs the bundle."""

VARIABLES = re.compile(
    r"DUALSYNC_[A-Z0-9_]+|AWS_(?:DEFAULT_)?REGION|AWS_ENDPOINT_URL(?:_[A-Z0-9_]+)?|TMPDIR"
    r"|PYTHONUNBUFFERED|(?:HTTPS?|NO)_PROXY|AWS_USE_(?:FIPS|DUALSTACK)_ENDPOINT"
)
"""Variables that the program sets. Others (PYTHONPATH, LD_PRELOAD …) can make the interpreter run other code."""

_WORD = r"[A-Za-z0-9._/:+-]*"
_LINES = {
    "ENVIRONMENT": r'(?:[A-Z][A-Z0-9_]*="[^\n]*"\n?)*',
    "AGENT": r"(?:(?!AGENT\n)[^\n]*\n)*(?!AGENT\n)[^\n]*",
    "EGRESS": r"(?:\nexport [^\n]*)?",
    "EGRESS_UNITS": rf"(?:\n{re.escape(userdata.template('egress.sh').rstrip())})?",
}


def script_as_built(resource: Resource, _: Options) -> Iterator[Finding]:
    """Yield workers and finders whose script, image or variables are not those that the program renders."""
    if resource.kind == "ec2.LaunchTemplate":
        problem = _worker(resource)
    elif resource.kind == "ecs.TaskDefinition":
        problem = _finder(resource)
    else:
        return
    if problem:
        yield Finding(resource, f"{resource.name} {problem}")
    for environment in environments(Plan((resource,))):
        for name in sorted(environment.variables or {}):
            if not VARIABLES.fullmatch(name):
                yield Finding(resource, f"{environment.label} sets {name}, which this program does not set")


def bundle_as_built(plan: Plan, _: Options) -> Iterator[Finding]:
    """Yield workers and finders that fetch another bundle than the plan's, or check it against another hash."""
    for holder in plan.of("ec2.LaunchTemplate", "ecs.TaskDefinition"):
        found = _fetched(holder)
        if found is None:
            continue
        bucket, key, sha256 = found
        own = [
            o
            for o in plan.of("s3.BucketObjectv2", "s3.BucketObject")
            if o.account and holder.account and o.account.urn == holder.account.urn
            if o.get("key") == key and o.get("bucket") in (bucket, UNKNOWN)
        ]
        if not own:
            yield Finding(holder, f"{holder.name} fetches {bucket}/{key}, which is not a bundle of this plan")
        elif all(o.get("sourceHash") not in (sha256, UNKNOWN) for o in own):
            yield Finding(holder, f"{holder.name} accepts a bundle with the SHA-256 {sha256}, not the plan's")


def _worker(resource: Resource) -> str:
    image = resource.get("imageId")
    if isinstance(image, str) and image.startswith("resolve:") and not image.startswith(IMAGE_PARAMETER):
        return f"boots the image that {image} names, which is not AWS's parameter"
    value = resource.get("userData")
    if value is UNKNOWN:
        return ""
    if not isinstance(value, str) or not value:
        return "has no boot script"
    match = _boot_pattern().fullmatch(user_data(value))
    if match is None:
        return "has a boot script that is not the one of components/workers/templates"
    variables = next(iter(environments(Plan((resource,))))).variables or {}
    if not _leaves_as_built(match, variables):
        return "boots with another proxy or other endpoints than its worker has"
    try:
        agent = json.loads(match["AGENT"])
    except json.JSONDecodeError:
        return "configures the CloudWatch agent with something that is not JSON"
    if agent != _agent(match, agent, variables):
        return "configures the CloudWatch agent otherwise than the program does"
    return ""


def _leaves_as_built(match: re.Match[str], variables: Mapping[str, str]) -> bool:
    """Return whether the script's own programs reach AWS as the worker does."""
    try:
        wanted = userdata.exports(variables), userdata.egress_units(variables)
    except ValueError:
        return False
    return (match["EGRESS"], match["EGRESS_UNITS"]) == wanted


def _agent(match: re.Match[str], found: Any, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the agent's configuration that the program renders for this script; empty if it renders none."""
    metrics = found.get("metrics") if isinstance(found, Mapping) else None
    namespace = str(metrics.get("namespace")) if isinstance(metrics, Mapping) else ""
    boot = userdata.Boot(
        region=match["REGION"],
        bundle_bucket=match["BUNDLE_BUCKET"],
        bundle_key=match["BUNDLE_KEY"],
        bundle_version=match["BUNDLE_VERSION"],
        bundle_sha256=match["BUNDLE_SHA256"],
        log_group=match["LOG_GROUP"],
        group=match["GROUP"],
        hook=match["HOOK"],
        metrics_namespace=namespace,
        environment=variables,
    )
    try:
        return userdata.agent(boot)
    except LookupError:  # FIPS endpoints in a region without them
        return {}


def _finder(resource: Resource) -> str:
    if resource.get("containerDefinitions") is UNKNOWN:
        return ""
    found = {str(c.get("name")): c for c in containers(resource)}
    if not {FINDER} <= {*found} <= {FINDER, PREPARE} or len(found) != len(containers(resource)):
        return f"has the containers {', '.join(str(c.get('name')) for c in containers(resource))}, not the finder's"
    if found[FINDER].get("entryPoint") != ["python3", "-c", userdata.template("start_finder.py")]:
        return "has an entry point that is not components/workers/templates/start_finder.py"
    first = found.get(PREPARE)
    if first is not None and (first.get("entryPoint") != PREPARE_ENTRY_POINT or first.get("command")):
        return "prepares its folder with another command than the program's"
    return ""


def _boot_pattern() -> re.Pattern[str]:
    """Return the boot script's template as a pattern, with a group for each value."""
    fixed = {
        "WORKER_UNIT": userdata.worker_unit(),
        "DRAIN": userdata.template("drain.sh").rstrip("\n"),
        "ENDED": userdata.template("ended.sh").rstrip("\n"),
    }
    parts = re.split(r"@([A-Z][A-Z0-9_]*)@", userdata.template("boot.sh"))
    seen: set[str] = set()
    pattern = ""
    for number, part in enumerate(parts):
        if number % 2 == 0:
            pattern += re.escape(part)
        elif part in fixed:
            pattern += re.escape(fixed[part])
        elif part in seen:
            pattern += f"(?P={part})"
        else:
            seen.add(part)
            pattern += f"(?P<{part}>{_LINES.get(part, _WORD)})"
    return re.compile(pattern)


def _fetched(holder: Resource) -> tuple[str, str, str] | None:
    """Return bucket, key and SHA-256 of the bundle that a holder starts; None if its script fetches no bundle."""
    if holder.kind == "ecs.TaskDefinition":
        found = [c for c in containers(holder) if c.get("name") == FINDER]
        command: Any = found[0].get("command") if found else None
        if isinstance(command, list) and len(command) >= 4:
            return str(command[0]), str(command[1]), str(command[3])
        return None
    value = holder.get("userData")
    match = _boot_pattern().fullmatch(user_data(value)) if isinstance(value, str) else None
    return (match["BUNDLE_BUCKET"], match["BUNDLE_KEY"], match["BUNDLE_SHA256"]) if match else None


RULES = (
    Rule(
        name="boot-as-built",
        what="Workers boot with the program's own script, the finder starts with the program's own entry point.",
        why="Whatever else runs on a worker runs with the peer's key and both buckets in reach. A line more fetches"
        " anything, a line less skips the check of the bundle.",
        remedy="Render user data with components/workers/userdata.py and the entry point from its templates. A change"
        " of the templates passes once the pack that reviews it has them too: merge it, or run the change's own pack.",
        each=script_as_built,
    ),
    Rule(
        name="bundle-as-built",
        what="Workers and finder fetch the plan's own bundle, and check it against the plan's own SHA-256.",
        why="The bundle is the code that moves the data. With another hash, any writer of the artifacts"
        " bucket chooses it.",
        remedy="Give script and command the bucket, the key and the hash of the plan's bundle object.",
        all=bundle_as_built,
    ),
)
