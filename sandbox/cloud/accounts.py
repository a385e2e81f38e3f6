"""The two accounts that the local cloud emulator plays, each with one operator (an administrator's IAM user)."""

from __future__ import annotations

from dataclasses import dataclass, field

from dualsync.runtime.settings import SideName


@dataclass(frozen=True, slots=True)
class Account:
    """One account. The operator's key is fixed and public: it opens nothing but this machine's local cloud emulator."""

    side: SideName
    account_id: str
    partition: str
    region: str
    dns_suffix: str
    access_key_id: str
    secret_access_key: str = field(repr=False)

    @property
    def profile(self) -> str:
        """Name of the AWS profile that stands for the operator of this account."""
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
