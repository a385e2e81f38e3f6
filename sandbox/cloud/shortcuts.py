"""Makes moto faster: caches what it computes for every request, and makes request ids in one call.

No answer changes.
"""

from __future__ import annotations

import functools
import secrets
from typing import Any

from moto.core import responses
from moto.core.utils import method_names_from_class

from sandbox.cloud.patches.replace import replace

_REQUEST_ID_BYTES = 26
"""Half of the length of a request id in characters (52)."""


def apply() -> None:
    """Cache the method names of each service's class, and make request ids by one call; call it once."""
    replace(responses, "method_names_from_class", functools.cache(method_names_from_class))
    replace(responses, "gen_amzn_requestid_long", _request_id)


def _request_id(headerdict: dict[str, Any] | None = None) -> str:
    made = secrets.token_hex(_REQUEST_ID_BYTES).upper()
    if isinstance(headerdict, dict):
        headerdict["x-amzn-requestid"] = made
    return made
