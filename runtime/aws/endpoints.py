"""Callers of AWS's services with one credential: endpoints as the AWS SDK would choose them."""

from __future__ import annotations

import re

from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from dualsync.runtime.aws.credentials import Credentials, MachineCredentials
from dualsync.runtime.aws.http.client import ServiceClient
from dualsync.runtime.aws.http.pool import Endpoint, Pool
from dualsync.runtime.errors import FatalError


class Network:
    """One region, one credential. Endpoints: the given one, else the SDK's variables and profile
    (`AWS_ENDPOINT_URL_SQS`, `AWS_ENDPOINT_URL`, `endpoint_url`), else the region's own with its partition's suffix.
    """

    def __init__(self, region: str, credentials: Credentials | None = None, session: Session | None = None) -> None:
        self._session = session or Session()
        self._region = region
        self.credentials = credentials or MachineCredentials(self._session)

    def caller(self, service: str, endpoint: str = "") -> ServiceClient:
        """Of a service named as in signatures (`sqs`, `dynamodb`, `sts`, `secretsmanager`)."""
        url = endpoint or self._configured(service) or f"https://{self._hostname(service)}"
        return self._caller(service, Endpoint.of(url))

    def s3(self, bucket: str, endpoint: str = "", *, spare: int = 0) -> tuple[ServiceClient, bool]:
        """A caller for one bucket, and whether the bucket goes into the path: at given endpoints, and where its dots
        would not fit the certificate."""
        url = endpoint or self._configured("s3")
        if url:
            return self._caller("s3", Endpoint.of(url), spare), True
        hostname = self._hostname("s3")
        if "." in bucket:
            return self._caller("s3", Endpoint.of(f"https://{hostname}"), spare), True
        return self._caller("s3", Endpoint.of(f"https://{bucket}.{hostname}"), spare), False

    def _caller(self, service: str, endpoint: Endpoint, spare: int = 0) -> ServiceClient:
        return ServiceClient(Pool(endpoint, spare=spare), service, self._region, self.credentials)

    def _configured(self, service: str) -> str:
        try:
            provider = ConfiguredEndpointProvider(
                full_config=self._session.full_config,
                scoped_config=self._session.get_scoped_config(),
                client_name=service,
            )
            return provider.provide() or ""
        except BotoCoreError as error:
            raise FatalError(f"the AWS profile can't be read: {error}") from None

    def _hostname(self, service: str) -> str:
        for partition in self._session.get_data("endpoints")["partitions"]:
            if self._region in partition["regions"] or re.fullmatch(partition["regionRegex"], self._region):
                return f"{service}.{self._region}.{partition['dnsSuffix']}"
        raise FatalError(f"region {self._region!r} is in no partition of AWS: mend the region's name")
