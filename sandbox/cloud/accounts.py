"""The two accounts of the local cloud emulator, each with one operator (an administrator's IAM user)."""

from __future__ import annotations

from dataclasses import dataclass, field

from dualsync.runtime.settings import SideName


@dataclass(frozen=True, slots=True)
class Account:
    """One account. The operator's key is fixed and public: it is valid only in this machine's local cloud emulator."""

    side: SideName
    """The side whose account it is."""

    account_id: str
    """Account id."""

    partition: str
    """Partition."""

    region: str
    """Region of the side's bucket and resources."""

    dns_suffix: str
    """DNS suffix of the partition."""

    access_key_id: str
    """Access key id of the operator."""

    secret_access_key: str = field(repr=False)
    """Secret access key of the operator."""

    @property
    def profile(self) -> str:
        """Return the name of the operator's AWS profile."""
        return f"dualsync-sandbox-{self.side}"


CN = Account(
    SideName.CN, "111122223333", "aws-cn", "cn-north-1", "amazonaws.com.cn", "AKIASANDBOXCN0000000", "sandbox-cn"
)
GLOBAL = Account(
    SideName.GLOBAL, "444455556666", "aws", "us-west-2", "amazonaws.com", "AKIASANDBOXGLOBAL000", "sandbox-global"
)
ACCOUNTS = {SideName.CN: CN, SideName.GLOBAL: GLOBAL}
OPERATOR = "sandbox-operator"
"""Name of the operator's IAM user in each account."""
