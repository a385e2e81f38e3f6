"""Parameters of the machine images in both partitions. moto has none for China, and a client can't put `/aws/…`.

Source: Amazon Linux 2023 User Guide, "Launching AL2023 using the SSM parameter and the AWS CLI".
"""

from __future__ import annotations

from moto.core.utils import utcnow
from moto.ssm.models import Parameter, ssm_backends

from sandbox.cloud.accounts import ACCOUNTS

IMAGE_IDS = {"arm64": "ami-0a0a0a0a0a0a0a0a1", "x86_64": "ami-0a0a0a0a0a0a0a0a2"}


def parameter_name(architecture: str) -> str:
    """Return the name of the public parameter of the current Amazon Linux 2023 image."""
    return f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architecture}"


def apply() -> None:
    for account in ACCOUNTS.values():
        parameters = ssm_backends[account.account_id][account.region]._parameters
        for architecture, image_id in IMAGE_IDS.items():
            name = parameter_name(architecture)
            if parameters.get(name):
                continue
            parameters[name].append(
                Parameter(  # type: ignore[abstract]
                    account_id=account.account_id,
                    name=name,
                    value=image_id,
                    parameter_type="String",
                    description=None,
                    allowed_pattern=None,
                    keyid=None,
                    last_modified_date=utcnow(),
                    version=1,
                    data_type="aws:ec2:image",
                )
            )
