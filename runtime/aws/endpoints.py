"""Clients of AWS's services with one credential, at the endpoints that the AWS SDK would choose."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import BotoCoreError
from botocore.regions import EndpointResolver
from botocore.session import Session

from dualsync.runtime.aws.credentials import Credentials, MachineCredentials
from dualsync.runtime.aws.http.client import ServiceClient
from dualsync.runtime.aws.http.pool import Endpoint, Pool
from dualsync.runtime.errors import FatalError

_FLAGS = {"use_fips_endpoint": "AWS_USE_FIPS_ENDPOINT", "use_dualstack_endpoint": "AWS_USE_DUALSTACK_ENDPOINT"}


def configured_endpoint(session: Session, service: str, *, variables: bool) -> str:
    """Return the endpoint that the SDK's variables and the session's profile name for a service; empty for none.

    `variables` is False for one of several accounts that a program works in, each with a profile of its own: the
    variables cannot describe all of them, so only the profile counts. Raises `FatalError` for an unreadable profile.
    """
    if _flag(session, "ignore_configured_endpoint_urls"):
        return ""
    try:
        provider = ConfiguredEndpointProvider(
            full_config=session.full_config,
            scoped_config=session.get_scoped_config(),
            client_name=service,
            environ=None if variables else {},
        )
        return provider.provide() or ""
    except BotoCoreError as error:
        raise FatalError(f"the AWS profile can't be read: {error}") from None


def is_aws(url: str) -> bool:
    """Return whether an address is one of AWS's own, in any partition."""
    host = urlsplit(url).hostname or ""
    return host.endswith(tuple(f".{p['dnsSuffix']}" for p in Session().get_data("endpoints")["partitions"]))


def _flag(session: Session, name: str) -> bool:
    value: Any = session.get_config_variable(name)
    return value is True or str(value).lower() == "true"


class Network:
    """One region and one credential.

    An endpoint is the given one; else, with the machine's own credential, that of the SDK's variables and profile
    (`AWS_ENDPOINT_URL_SQS`, `AWS_ENDPOINT_URL`, `endpoint_url`); else the region's own. The variables describe this
    side's account, so they never redirect a client that has another credential, which is the peer's.
    `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT` are rules of this machine and hold for both.
    """

    def __init__(
        self,
        region: str,
        credentials: Credentials | None = None,
        session: Session | None = None,
        *,
        variables: bool = True,
    ) -> None:
        """Create the source of one account's clients; `variables` as in `configured_endpoint`."""
        self._session = session or Session()
        self._variables = variables
        self._region = region
        self._own = credentials is None
        self._clients: list[ServiceClient] = []
        self.credentials = credentials or MachineCredentials(self._session)

    def client(self, service: str, endpoint: str = "") -> ServiceClient:
        """Return a client of a service named as in signatures (`sqs`, `dynamodb`, `sts`, `secretsmanager`)."""
        url = endpoint or self._configured(service) or f"https://{self._hostname(service)}"
        return self._client(service, Endpoint.from_url(url))

    def bucket_client(self, bucket: str, endpoint: str = "", *, spare: int = 0) -> tuple[ServiceClient, bool]:
        """Return a client for one bucket, and whether the bucket's name goes into the path.

        It does at given endpoints, and where its dots would not fit the certificate.
        """
        url = endpoint or self._configured("s3")
        if url:
            return self._client("s3", Endpoint.from_url(url), spare), True
        hostname = self._hostname("s3")
        if "." in bucket:
            return self._client("s3", Endpoint.from_url(f"https://{hostname}"), spare), True
        return self._client("s3", Endpoint.from_url(f"https://{bucket}.{hostname}"), spare), False

    def close(self) -> None:
        """Close the connections of every client made here."""
        for client in self._clients:
            client.pool.close()

    def _client(self, service: str, endpoint: Endpoint, spare: int = 0) -> ServiceClient:
        client = ServiceClient(Pool(endpoint, spare=spare), service, self._region, self.credentials)
        self._clients.append(client)
        return client

    def _configured(self, service: str) -> str:
        return configured_endpoint(self._session, service, variables=self._variables) if self._own else ""

    def _hostname(self, service: str) -> str:
        data = self._session.get_data("endpoints")
        for partition in data["partitions"]:
            if self._region in partition["regions"] or re.fullmatch(partition["regionRegex"], self._region):
                wanted = [flag for flag in _FLAGS if _flag(self._session, flag)]
                if wanted:
                    return self._variant(data, service, partition["partition"], wanted)
                return f"{service}.{self._region}.{partition['dnsSuffix']}"
        raise FatalError(f"region {self._region!r} is in no partition of AWS: correct the region's name")

    def _variant(self, data: Any, service: str, partition: str, wanted: list[str]) -> str:
        """Return the FIPS or dual-stack endpoint, from the SDK's own list of endpoints."""
        names = " and ".join(_FLAGS[flag] for flag in wanted)
        refusal = f"{names}: no such endpoint of {service} in {self._region}; unset it, or name the endpoint itself"
        if "use_fips_endpoint" in wanted and partition == "aws-cn":
            raise FatalError(refusal)  # the list has a pattern there, but no host ("FIPS endpoints by service", AWS)
        try:
            found = EndpointResolver(data).construct_endpoint(
                service, self._region, partition, **dict.fromkeys(wanted, True)
            )
        except BotoCoreError:
            found = None
        if not found or not found.get("hostname"):
            raise FatalError(refusal)
        return str(found["hostname"])
