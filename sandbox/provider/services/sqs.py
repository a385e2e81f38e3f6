"""SQS: queues and their policies."""

from __future__ import annotations

from typing import Any

from sandbox.provider.base import Properties, Resource, found, handles, retag

GONE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")

_ATTRIBUTES = {
    "visibilityTimeoutSeconds": ("VisibilityTimeout", int),
    "messageRetentionSeconds": ("MessageRetentionPeriod", int),
    "receiveWaitTimeSeconds": ("ReceiveMessageWaitTimeSeconds", int),
    "delaySeconds": ("DelaySeconds", int),
    "maxMessageSize": ("MaximumMessageSize", int),
    "sqsManagedSseEnabled": ("SqsManagedSseEnabled", bool),
    "kmsMasterKeyId": ("KmsMasterKeyId", str),
    "kmsDataKeyReusePeriodSeconds": ("KmsDataKeyReusePeriodSeconds", int),
    "redrivePolicy": ("RedrivePolicy", str),
    "redriveAllowPolicy": ("RedriveAllowPolicy", str),
    "policy": ("Policy", str),
}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@handles("aws:sqs/queue:Queue")
class Queue(Resource):
    replaces = frozenset({"name", "namePrefix", "fifoQueue"})
    autonamed = "name"
    documents = frozenset({"policy", "redrivePolicy", "redriveAllowPolicy"})

    def create(self, inputs: Properties) -> str:
        made = self.account.client("sqs").create_queue(
            QueueName=inputs["name"], Attributes=self._attributes(inputs), tags=inputs.get("tagsAll", {})
        )
        return str(made["QueueUrl"])

    def read(self, id: str, state: Properties) -> Properties | None:
        sqs = self.account.client("sqs")
        answer = found(sqs.get_queue_attributes, GONE, QueueUrl=id, AttributeNames=["All"])
        if answer is None:
            return None
        given = answer["Attributes"]
        live: Properties = {
            "arn": given["QueueArn"],
            "url": id,
            "name": given["QueueArn"].rsplit(":", 1)[1],
            "fifoQueue": given.get("FifoQueue") == "true",
            "tagsAll": sqs.list_queue_tags(QueueUrl=id).get("Tags", {}),
        }
        for name, (attribute, kind) in _ATTRIBUTES.items():
            # The queue's policy is a resource of its own.
            if attribute in given and name != "policy":
                live[name] = given[attribute] == "true" if kind is bool else kind(given[attribute])
        return live

    def update(self, id: str, old: Properties, new: Properties) -> None:
        sqs = self.account.client("sqs")
        before, after = self._attributes(old), self._attributes(new)
        values = {k: v for k, v in after.items() if before.get(k) != v}
        values |= {k: "" for k in before if k not in after and k in ("RedrivePolicy", "RedriveAllowPolicy", "Policy")}
        if values:
            sqs.set_queue_attributes(QueueUrl=id, Attributes=values)
        added, removed = retag(old, new)
        if added:
            sqs.tag_queue(QueueUrl=id, Tags=added)
        if removed:
            sqs.untag_queue(QueueUrl=id, TagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("sqs").delete_queue, GONE, QueueUrl=id)

    def _attributes(self, inputs: Properties) -> dict[str, str]:
        values = {a: _text(inputs[n]) for n, (a, _) in _ATTRIBUTES.items() if inputs.get(n) not in (None, "")}
        return values | ({"FifoQueue": "true"} if inputs.get("fifoQueue") else {})


@handles("aws:sqs/queuePolicy:QueuePolicy")
class QueuePolicy(Resource):
    replaces = frozenset({"queueUrl"})
    documents = frozenset({"policy"})

    def create(self, inputs: Properties) -> str:
        self._put(inputs["queueUrl"], inputs["policy"])
        return str(inputs["queueUrl"])

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = found(self.account.client("sqs").get_queue_attributes, GONE, QueueUrl=id, AttributeNames=["Policy"])
        policy = (answer or {}).get("Attributes", {}).get("Policy")
        return {"queueUrl": id, "policy": policy} if policy else None

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self._put(id, new["policy"])

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("sqs").set_queue_attributes, GONE, QueueUrl=id, Attributes={"Policy": ""})

    def _put(self, url: str, policy: str) -> None:
        self.account.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
