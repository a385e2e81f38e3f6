"""Auto Scaling groups: growth after the second version of their launch template, and instance refresh.

moto fails at the first and lacks the second. A refresh takes no time here: all instances are replaced at once.

Source: Amazon EC2 Auto Scaling API Reference, StartInstanceRefresh, DescribeInstanceRefreshes, CancelInstanceRefresh.
"""

from __future__ import annotations

import uuid
from typing import Any

from moto.autoscaling.exceptions import AutoscalingClientError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.models.launch_templates import LaunchTemplate
from moto.ec2.utils import parse_user_data

from sandbox.cloud.patches.replace import replace

_create_version = LaunchTemplate.create_version


def _with_user_data(self: Any, data: dict[str, Any], description: str) -> Any:
    """Encode a later version's user data as moto encodes the first one's, so that instances can use it."""
    text = data.get("UserData")
    encoded = {"UserData": parse_user_data(text)} if isinstance(text, str) else {}
    return _create_version(self, {**data, **encoded}, description)


def _start(self: Any) -> Any:
    backend, name = self.autoscaling_backend, self._get_param("AutoScalingGroupName")
    group = _group(backend, name)
    replaced = [state.instance.id for state in group.instance_states]
    begun = utcnow()
    if replaced:
        backend.ec2_backend.terminate_instances(replaced)
        group.instance_states = []
        group.replace_autoscaling_group_instances(len(replaced), group.get_propagated_tags())
    refresh = {
        "InstanceRefreshId": str(uuid.uuid4()),
        "AutoScalingGroupName": name,
        "Status": "Successful",
        "StartTime": begun,
        "EndTime": utcnow(),
        "PercentageComplete": 100,
        "InstancesToUpdate": 0,
        "Preferences": self._get_param("Preferences", {}),
    }
    _refreshes(group).insert(0, refresh)
    return ActionResult({"InstanceRefreshId": refresh["InstanceRefreshId"]})


def _describe(self: Any) -> Any:
    group = _group(self.autoscaling_backend, self._get_param("AutoScalingGroupName"))
    wanted = self._get_param("InstanceRefreshIds", [])
    found = [r for r in _refreshes(group) if not wanted or r["InstanceRefreshId"] in wanted]
    return ActionResult({"InstanceRefreshes": found})


def _cancel(self: Any) -> Any:
    name = self._get_param("AutoScalingGroupName")
    _group(self.autoscaling_backend, name)
    raise AutoscalingClientError("ActiveInstanceRefreshNotFound", f"no refresh of {name} is under way")


def _group(backend: Any, name: str) -> Any:
    groups = backend.describe_auto_scaling_groups([name])
    if not groups:
        raise AutoscalingClientError("ValidationError", f"AutoScalingGroup name not found - null: {name}")
    return groups[0]


def _refreshes(group: Any) -> list[dict[str, Any]]:
    """Return the refreshes, which are stored with moto's group, newest first."""
    found: list[dict[str, Any]] = vars(group).setdefault("instance_refreshes", [])
    return found


def apply() -> None:
    replace(LaunchTemplate, "create_version", _with_user_data)
    answers = {"start_instance_refresh": _start, "cancel_instance_refresh": _cancel}
    for name, answer in {**answers, "describe_instance_refreshes": _describe}.items():
        setattr(AutoScalingResponse, name, answer)
