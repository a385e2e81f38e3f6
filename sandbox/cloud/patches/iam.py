"""IAM: unique ids in AWS's form, one operator per account, and the lengths, patterns and alphabets of its parameters.

moto gives a user 20 lower-case characters, and takes a policy document or a name with characters outside IAM's
alphabet (for documents U+0009, U+000A, U+000D and U+0020 to U+00FF), which AWS refuses with ValidationError. moto has
no operation that changes the audiences of an OpenID Connect provider.
Sources: IAM User Guide, "IAM identifiers": `AIDA` for users, `AIPA` for instance profiles, upper case; IAM API
Reference, "CreatePolicy", "CreateUser" (patterns), from which botocore's service model is made, and
"AddClientIDToOpenIDConnectProvider".
"""

from __future__ import annotations

import functools
from typing import Any

import botocore.session
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.iam import models, responses
from moto.iam.utils import generate_access_key_id_from_account_id

from sandbox.cloud.accounts import ACCOUNTS, OPERATOR
from sandbox.cloud.patches.replace import replace
from sandbox.cloud.request_models import problems


class ValidationError(ServiceException):
    """A parameter does not match IAM's model."""

    code = "ValidationError"


@functools.cache
def _service() -> Any:
    return botocore.session.Session().get_service_model("iam")


def _validate(operation: str, parameters: Any) -> None:
    shape = _service().operation_model(operation).input_shape
    found = [] if shape is None else list(problems(shape, parameters, ""))
    if found:
        listed = "; ".join(f"Value at '{name}' failed to satisfy constraint: {why}" for name, why in found)
        raise ValidationError(f"{len(found)} validation error{'s' * (len(found) > 1)} detected: {listed}")


def apply() -> None:
    _unique_ids()
    dispatch = responses.IamResponse.call_action

    def call_action(self: Any) -> Any:
        try:
            _validate(self._get_action(), self.params)
        except ValidationError as e:
            return self.serialized(ActionResult(e))
        return dispatch(self)

    replace(responses.IamResponse, "call_action", call_action)
    operations = {
        "add_client_id_to_open_id_connect_provider": _add_client_id,
        "remove_client_id_from_open_id_connect_provider": _remove_client_id,
    }
    for name, operation in operations.items():
        setattr(responses.IamResponse, name, operation)


def _add_client_id(self: Any) -> Any:
    """Add an audience. Both operations are idempotent."""
    provider, client_id = _open_id_provider(self)
    if client_id not in provider.client_id_list:
        provider.client_id_list.append(client_id)
    return EmptyResult()


def _remove_client_id(self: Any) -> Any:
    provider, client_id = _open_id_provider(self)
    if client_id in provider.client_id_list:
        provider.client_id_list.remove(client_id)
    return EmptyResult()


def _open_id_provider(response: Any) -> tuple[Any, str]:
    arn = response._get_param("OpenIDConnectProviderArn")
    return response.backend.get_open_id_connect_provider(arn), response._get_param("ClientID")


def _unique_ids() -> None:
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
