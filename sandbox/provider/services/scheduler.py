"""EventBridge Scheduler: the schedule that starts the finder."""

from __future__ import annotations

from typing import Any

from sandbox.provider.base import Properties, Resource, found, handles, present

GONE = ("ResourceNotFoundException",)


@handles("aws:scheduler/schedule:Schedule")
class Schedule(Resource):
    replaces = frozenset({"name", "namePrefix", "groupName"})
    autonamed = "name"

    def create(self, inputs: Properties) -> str:
        self.account.client("scheduler").create_schedule(**self._arguments(inputs))
        return f"{inputs.get('groupName') or 'default'}/{inputs['name']}"

    def read(self, id: str, state: Properties) -> Properties | None:
        group, _, name = id.partition("/")
        schedule = found(self.account.client("scheduler").get_schedule, GONE, Name=name, GroupName=group)
        if schedule is None:
            return None
        return {
            "arn": schedule["Arn"],
            "name": name,
            "groupName": group,
            "scheduleExpression": schedule["ScheduleExpression"],
            "state": schedule.get("State", "ENABLED"),
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self.account.client("scheduler").update_schedule(**self._arguments(new))

    def delete(self, id: str, state: Properties) -> None:
        group, _, name = id.partition("/")
        found(self.account.client("scheduler").delete_schedule, GONE, Name=name, GroupName=group)

    def _arguments(self, inputs: Properties) -> dict[str, Any]:
        target, window = inputs["target"], inputs["flexibleTimeWindow"]
        retry, task = target.get("retryPolicy"), target.get("ecsParameters")
        return present(
            Name=inputs["name"],
            GroupName=inputs.get("groupName"),
            Description=inputs.get("description"),
            ScheduleExpression=inputs["scheduleExpression"],
            State=inputs.get("state"),
            FlexibleTimeWindow=present(
                Mode=window["mode"], MaximumWindowInMinutes=window.get("maximumWindowInMinutes")
            ),
            Target=present(
                Arn=target["arn"],
                RoleArn=target["roleArn"],
                RetryPolicy=retry
                and present(
                    MaximumRetryAttempts=retry.get("maximumRetryAttempts"),
                    MaximumEventAgeInSeconds=retry.get("maximumEventAgeInSeconds"),
                ),
                EcsParameters=task and self._task(task),
            ),
        )

    def _task(self, task: Properties) -> dict[str, Any]:
        network = task.get("networkConfiguration")
        return present(
            TaskDefinitionArn=task["taskDefinitionArn"],
            LaunchType=task.get("launchType"),
            TaskCount=task.get("taskCount"),
            PropagateTags=task.get("propagateTags"),
            NetworkConfiguration=network
            and {
                "awsvpcConfiguration": present(
                    Subnets=network["subnets"],
                    SecurityGroups=network.get("securityGroups"),
                    AssignPublicIp="ENABLED" if network.get("assignPublicIp") else "DISABLED",
                )
            },
        )
