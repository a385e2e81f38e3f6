"""Internet egress of the default VPC: an internet gateway and the main route to it, which moto does not create.

Source: Amazon VPC User Guide, "Default VPC components".
"""

from __future__ import annotations

from moto.ec2.models import ec2_backends

from sandbox.cloud.accounts import ACCOUNTS


def apply() -> None:
    for account in ACCOUNTS.values():
        backend = ec2_backends[account.account_id][account.region]
        (vpc,) = (v for v in backend.vpcs.values() if v.is_default)
        gateway = backend.create_internet_gateway()
        backend.attach_internet_gateway(gateway.id, vpc.id)
        (table,) = (t for t in backend.route_tables.values() if t.vpc_id == vpc.id)
        backend.create_route(table.id, "0.0.0.0/0", gateway_id=gateway.id)
