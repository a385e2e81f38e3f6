"""Two buckets that this company has already, kept the same by one stack that manages both sides."""

import pulumi
import pulumi_dualsync as dualsync

config = pulumi.Config()

pair = dualsync.DualSyncPair(
    "storage",
    pair="storage",
    manages=["cn", "global"],
    cn={
        "account_id": config.require("cnAccount"),
        "region": "cn-north-1",
        "bucket": config.require("cnBucket"),
        "profile": config.get("cnProfile") or "dualsync-cn",
        # China's regions have no public registry: a copy of AWS's Python image in the account's own.
        "finder_image": config.require("cnFinderImage"),
        "endpoint": config.get("endpoint"),
    },
    global_={
        "account_id": config.require("globalAccount"),
        "region": "us-west-2",
        "bucket": config.require("globalBucket"),
        "profile": config.get("globalProfile") or "dualsync-global",
        "endpoint": config.get("endpoint"),
    },
    conflict_policy=dualsync.ConflictPolicy.PREFER_CN,
    keep_loser=True,
    alarm_email=config.get("alarmEmail") or "",
    bundle=config.get("bundle") or "",
    protect=config.get_bool("protect", True),
)

pulumi.export("userIds", pair.user_ids)
pulumi.export("dashboards", [pair.cn.dashboard_url, pair.global_.dashboard_url])
