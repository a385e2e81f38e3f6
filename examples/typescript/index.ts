// Two buckets that this company has already, kept the same by one stack that manages both sides.
import * as pulumi from "@pulumi/pulumi";
import * as dualsync from "@pulumi/dualsync";

const config = new pulumi.Config();

const pair = new dualsync.DualSyncPair("storage", {
    pair: "storage",
    manages: ["cn", "global"],
    cn: {
        accountId: config.require("cnAccount"),
        region: "cn-north-1",
        bucket: config.require("cnBucket"),
        profile: config.get("cnProfile") ?? "dualsync-cn",
        // China's regions have no public registry: a copy of AWS's Python image in the account's own.
        finderImage: config.require("cnFinderImage"),
        endpoint: config.get("endpoint"),
    },
    global: {
        accountId: config.require("globalAccount"),
        region: "us-west-2",
        bucket: config.require("globalBucket"),
        profile: config.get("globalProfile") ?? "dualsync-global",
        endpoint: config.get("endpoint"),
    },
    conflictPolicy: dualsync.ConflictPolicy.PreferCn,
    keepLoser: true,
    alarmEmail: config.get("alarmEmail") ?? "",
    bundle: config.get("bundle") ?? "",
    protect: config.getBoolean("protect") ?? true,
});

export const userIds = pair.userIds;
export const dashboards = [pair.cn.apply((side) => side?.dashboardUrl), pair.global.apply((side) => side?.dashboardUrl)];
