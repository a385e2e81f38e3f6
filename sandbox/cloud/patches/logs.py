"""CloudWatch Logs: saved queries, which moto does not have, and metric filters, which it adds instead of updating.

Source: Amazon CloudWatch Logs API Reference, "PutQueryDefinition", "DescribeQueryDefinitions", "DeleteQueryDefinition",
"PutMetricFilter" (creates or updates).
"""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from typing import Any

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.metric_filters import MetricFilters
from moto.logs.responses import LogsResponse

from sandbox.cloud.patches.replace import replace

_queries: defaultdict[tuple[str, str], dict[str, dict[str, Any]]] = defaultdict(dict)


def _mine(response: Any) -> dict[str, dict[str, Any]]:
    return _queries[response.current_account, response.region]


def _put(self: Any) -> str:
    given = json.loads(self.body)
    id = given.get("queryDefinitionId") or str(uuid.uuid4())
    if given.get("queryDefinitionId") and id not in _mine(self):
        raise ResourceNotFoundException("The specified query definition does not exist.")
    _mine(self)[id] = {
        "queryDefinitionId": id,
        "name": given["name"],
        "queryString": given["queryString"],
        "logGroupNames": given.get("logGroupNames", []),
        "lastModified": int(time.time() * 1000),
    }
    return json.dumps({"queryDefinitionId": id})


def _describe(self: Any) -> str:
    prefix = json.loads(self.body or "{}").get("queryDefinitionNamePrefix", "")
    found = [q for q in _mine(self).values() if q["name"].startswith(prefix)]
    return json.dumps({"queryDefinitions": sorted(found, key=lambda q: str(q["name"]))})


def _delete(self: Any) -> str:
    id = json.loads(self.body)["queryDefinitionId"]
    if _mine(self).pop(id, None) is None:
        raise ResourceNotFoundException("The specified query definition does not exist.")
    return json.dumps({"success": True})


def _add_filter(
    self: Any, filter_name: str, filter_pattern: str, log_group_name: str, metric_transformations: Any
) -> None:
    same = {"filterName": filter_name, "logGroupName": log_group_name}
    others = [f for f in self.metric_filters if not same.items() <= f.items()]
    entry = {**same, "filterPattern": filter_pattern, "metricTransformations": metric_transformations}
    self.metric_filters[:] = [*others, entry]


def apply() -> None:
    replace(MetricFilters, "add_filter", _add_filter)
    methods = {
        "put_query_definition": _put,
        "describe_query_definitions": _describe,
        "delete_query_definition": _delete,
    }
    for name, method in methods.items():
        setattr(LogsResponse, name, method)
