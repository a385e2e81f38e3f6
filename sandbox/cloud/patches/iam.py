"""Unique ids in AWS's form, and one operator in each account.

moto gives a user 20 lower-case characters. Source: IAM User Guide, "IAM identifiers": `AIDA` for users, `AIPA` for
instance profiles, upper case.
"""

from __future__ import annotations

from typing import Any

from moto.iam import models
from moto.iam.utils import generate_access_key_id_from_account_id

from sandbox.cloud.accounts import ACCOUNTS, OPERATOR
from sandbox.cloud.patches.replace import replace


def apply() -> None:
    original = models.User.__init__

    def initialise(self: Any, account_id: str, *args: Any, **kwargs: Any) -> None:
        original(self, account_id, *args, **kwargs)
        self.id = generate_access_key_id_from_account_id(account_id, prefix="AIDA", total_length=21)

    replace(models.User, "__init__", initialise)
    create_profile = models.IAMBackend.create_instance_profile

    def create_instance_profile(self: Any, *args: Any, **kwargs: Any) -> Any:
        profile = create_profile(self, *args, **kwargs)
        profile.id = generate_access_key_id_from_account_id(self.account_id, prefix="AIPA", total_length=21)
        return profile

    replace(models.IAMBackend, "create_instance_profile", create_instance_profile)
    for account in ACCOUNTS.values():
        backend = models.iam_backends[account.account_id][account.partition]
        backend.create_user(account.region, OPERATOR)
        key = backend.users[OPERATOR].create_access_key(prefix="AKIA")
        key.access_key_id, key.secret_access_key = account.access_key_id, account.secret_access_key
        backend.access_keys[account.access_key_id] = key
