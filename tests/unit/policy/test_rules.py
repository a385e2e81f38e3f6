"""Test what holds for every rule: its texts, and that a disabled rule is not run."""

from __future__ import annotations

import dataclasses

from policy.plan import Plan
from policy.review import review
from policy.rule import Level
from policy.rules import RULES
from tests.unit.policy.resources import resource, rule


def test_every_rule_describes_what_why_and_the_remedy() -> None:
    for one in RULES:
        assert one.what.endswith("."), one.name
        assert one.why.endswith("."), one.name
        assert one.remedy.endswith("."), one.name
        assert len(one.why) > 60, one.name


def test_a_disabled_rule_is_not_run() -> None:
    off = dataclasses.replace(rule("imdsv2"), level=Level.DISABLED)
    made = Plan((resource("aws:ec2/launchTemplate:LaunchTemplate", userData=""),))
    assert review(made, rules=[off]) == []
    assert review(made, rules=[rule("imdsv2")])
