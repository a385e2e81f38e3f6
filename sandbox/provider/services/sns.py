"""SNS: the topic of the alarms, its policy and its subscriptions."""

from __future__ import annotations

from sandbox.provider.base import Properties, Resource, changed, found, handles, present, retag, tag_list, tag_map

GONE = ("NotFound", "NotFoundException", "ResourceNotFoundException")


_ATTRIBUTES = {"displayName": "DisplayName", "kmsMasterKeyId": "KmsMasterKeyId", "policy": "Policy"}


@handles("aws:sns/topic:Topic")
class Topic(Resource):
    replaces = frozenset({"name", "namePrefix", "fifoTopic"})
    autonamed = "name"
    documents = frozenset({"policy", "deliveryPolicy"})

    def create(self, inputs: Properties) -> str:
        attributes = {a: str(inputs[n]) for n, a in _ATTRIBUTES.items() if inputs.get(n)}
        made = self.account.client("sns").create_topic(
            Name=inputs["name"], Attributes=attributes, Tags=tag_list(inputs)
        )
        return str(made["TopicArn"])

    def read(self, id: str, state: Properties) -> Properties | None:
        sns = self.account.client("sns")
        answer = found(sns.get_topic_attributes, GONE, TopicArn=id)
        if answer is None:
            return None
        given = answer["Attributes"]
        return present(
            arn=id,
            name=id.rsplit(":", 1)[1],
            owner=given["Owner"],
            displayName=given.get("DisplayName"),
            kmsMasterKeyId=given.get("KmsMasterKeyId"),
            tagsAll=tag_map(sns.list_tags_for_resource(ResourceArn=id)["Tags"]),
        )

    def update(self, id: str, old: Properties, new: Properties) -> None:
        sns = self.account.client("sns")
        for name, attribute in _ATTRIBUTES.items():
            if changed(old, new, name):
                sns.set_topic_attributes(TopicArn=id, AttributeName=attribute, AttributeValue=str(new.get(name) or ""))
        added, removed = retag(old, new)
        if added:
            sns.tag_resource(ResourceArn=id, Tags=tag_list({"tagsAll": added}))
        if removed:
            sns.untag_resource(ResourceArn=id, TagKeys=removed)

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("sns").delete_topic, GONE, TopicArn=id)


@handles("aws:sns/topicPolicy:TopicPolicy")
class TopicPolicy(Resource):
    replaces = frozenset({"arn"})
    documents = frozenset({"policy"})

    def create(self, inputs: Properties) -> str:
        self._put(inputs)
        return str(inputs["arn"])

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = found(self.account.client("sns").get_topic_attributes, GONE, TopicArn=id)
        if answer is None:
            return None
        return {"arn": id, "owner": answer["Attributes"]["Owner"], "policy": answer["Attributes"]["Policy"]}

    def update(self, id: str, old: Properties, new: Properties) -> None:
        self._put(new)

    def delete(self, id: str, state: Properties) -> None:
        """Do nothing: the policy is deleted with the topic, and a topic always has one."""

    def _put(self, inputs: Properties) -> None:
        self.account.client("sns").set_topic_attributes(
            TopicArn=inputs["arn"], AttributeName="Policy", AttributeValue=inputs["policy"]
        )


@handles("aws:sns/topicSubscription:TopicSubscription")
class TopicSubscription(Resource):
    replaces = frozenset({"topic", "protocol", "endpoint"})

    def create(self, inputs: Properties) -> str:
        attributes = {"RawMessageDelivery": "true"} if inputs.get("rawMessageDelivery") else {}
        made = self.account.client("sns").subscribe(
            TopicArn=inputs["topic"],
            Protocol=inputs["protocol"],
            Endpoint=inputs["endpoint"],
            Attributes=attributes,
            ReturnSubscriptionArn=True,
        )
        return str(made["SubscriptionArn"])

    def read(self, id: str, state: Properties) -> Properties | None:
        answer = found(self.account.client("sns").get_subscription_attributes, GONE, SubscriptionArn=id)
        if answer is None:
            return None
        given = answer["Attributes"]
        return {
            "arn": id,
            "topic": given["TopicArn"],
            "protocol": given["Protocol"],
            "endpoint": given["Endpoint"],
            "ownerId": given["Owner"],
            "pendingConfirmation": given.get("PendingConfirmation") == "true",
            "rawMessageDelivery": given.get("RawMessageDelivery") == "true",
        }

    def delete(self, id: str, state: Properties) -> None:
        found(self.account.client("sns").unsubscribe, GONE, SubscriptionArn=id)
