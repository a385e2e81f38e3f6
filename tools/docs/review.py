"""Tables of the policy pack's rules and options, the component's outputs, and the provider's arguments."""

from __future__ import annotations

import json

from dualsync.components.bucket_access import endpoints
from dualsync.components.plugin import schema
from policy.rules import RULES
from tools.docs import reference
from tools.iam_roles import questions


def policy_rules() -> str:
    """Return every rule: what holds, why it matters to a pair, the remedy."""
    rows = [[f"`{rule.name}`", rule.what, rule.why, rule.remedy] for rule in RULES]
    return reference.table(("rule", "what holds", "why it matters here", "remedy"), rows)


def policy_options() -> str:
    """Return the options of the rules."""
    rows = [
        [f"`{rule.name}`", f"`{name}`", f"`{json.dumps(option.default)}`", option.help]
        for rule in RULES
        for name, option in rule.options.items()
    ]
    return reference.table(("rule", "option", "default", "what it is"), rows)


def role_questions() -> str:
    """Return the table of what a thief of a pipeline's role could do."""
    return reference.table(("stolen", "for", "call", "answer"), questions.rows())


def component_outputs() -> str:
    """Return the outputs of the component and of each side."""
    facts = [[f"`cn.{name}`, `global.{name}`", text] for name, text in schema.FACT_OUTPUTS.items()]
    rows = [[f"`{name}`", text] for name, text in schema.OUTPUTS.items() if name not in ("cn", "global")]
    return reference.table(("output", "what it is"), [*rows, *facts])


def provider_arguments() -> str:
    """Return the arguments that `endpoint` sets on the AWS provider."""
    services = ", ".join(f"`{name}`" for name in endpoints.SERVICES)
    rows = [["`endpoints`", f"the address, for {services}", "No call leaves for AWS."]]
    rows += [[f"`{_camel(name)}`", "`true`", why] for name, why in endpoints.FLAGS.items()]
    return reference.table(("argument", "value", "why"), rows)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
