"""The program's own resource and function, with the logic of its plugin (`components/plugin`)."""

from __future__ import annotations

import time

from dualsync.components.bucket_access import inspection, notifications
from sandbox.provider.base import Account, Properties, Resource, handles
from sandbox.provider.services.data_sources import function_of


def _pause(seconds: float) -> None:
    """Wait for a moment instead of seconds, because the emulator applies documents and policies at once."""
    time.sleep(min(seconds, 0.05))


def _record(properties: Properties) -> notifications.Subscription:
    return notifications.Subscription(
        bucket=properties["bucket"],
        owner=properties["owner"],
        id=properties["notificationId"],
        queue_arn=properties["queueArn"],
        events=tuple(sorted(properties["events"])),
        prefix=properties.get("prefix", ""),
    )


@handles("dualsync:index:BucketSubscription")
class BucketSubscription(Resource):
    replaces = frozenset({"bucket", "owner", "notificationId"})

    def create(self, inputs: Properties) -> str:
        subscription = _record(inputs)
        if reasons := notifications.overlaps(self.account.client("s3"), subscription):
            raise ValueError("; ".join(reasons))
        notifications.put(self.account.client("s3"), subscription, _pause)
        return f"{subscription.bucket}/{subscription.id}"

    def read(self, id: str, state: Properties) -> Properties | None:
        bucket, _, name = id.partition("/")
        wanted = notifications.Subscription(
            bucket=bucket, owner=self.account.account_id, id=name, queue_arn="", events=()
        )
        live = notifications.get(self.account.client("s3"), wanted)
        if live is None:
            return None
        return {
            "bucket": live.bucket,
            "owner": live.owner,
            "notificationId": live.id,
            "queueArn": live.queue_arn,
            "events": sorted(live.events),
            "prefix": live.prefix,
            "filter": live.filter,
        }

    def update(self, id: str, old: Properties, new: Properties) -> None:
        notifications.put(self.account.client("s3"), _record(new), _pause)

    def delete(self, id: str, state: Properties) -> None:
        notifications.remove(self.account.client("s3"), _record(state), _pause)


@function_of(inspection.TOKEN)
def inspect_bucket(account: Account, args: Properties) -> Properties:
    facts = inspection.inspect(
        account.client("s3"),
        bucket=args["bucket"],
        account_id=args["accountId"],
        region=args["region"],
        prefix=args.get("prefix", ""),
    )
    return inspection.to_result(facts)
