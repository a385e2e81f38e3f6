"""Check the user's tags against the services' rules, of which IAM's are the strictest."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dualsync.components.config.errors import ConfigError
from dualsync.components.config.names import OWN_TAGS

MAX_TAGS = 50 - len(OWN_TAGS)
"""Tags that AWS takes per resource, without the program's own (S3 objects take 10: see `bundle`)."""


def check(tags: Mapping[str, str]) -> None:
    """Raise `ConfigError` for the first tag that some resource does not take."""
    if len(tags) > MAX_TAGS:
        remedy = f"give at most {MAX_TAGS}: a resource takes 50, and {len(OWN_TAGS)} are the program's"
        raise ConfigError("tags", len(tags), "too many", remedy)
    # IAM takes no two tags of a user or role whose keys differ only in case (IAM User Guide, "Tags for AWS Identity and
    # Access Management resources"). All other services do, so only the users and roles would be refused.
    seen = {key.lower(): key for key in OWN_TAGS}
    for key, value in tags.items():
        if key.lower().startswith(("aws:", "dualsync:")) or not re.fullmatch(r"[\w +\-=.:/@]{1,128}", key):
            remedy = "use 1 to 128 letters, digits, spaces and +-=._:/@, not starting with aws: or dualsync:"
            raise ConfigError("tags", key, "not a tag's key", remedy)
        if not re.fullmatch(r"[\w +\-=.:/@]{0,256}", value):
            remedy = "use at most 256 letters, digits, spaces and +-=._:/@"
            raise ConfigError(f"tags.{key}", value, "not a tag's value", remedy)
        other = seen.setdefault(key.lower(), key)
        if other != key:
            problem = f"differs from the tag {other!r} only in upper and lower case, which IAM refuses"
            raise ConfigError("tags", key, problem, f"write it as {other!r}, or remove one of them")
