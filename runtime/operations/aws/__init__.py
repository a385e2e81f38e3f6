"""Adapters with an operator's own credentials: one profile per account, over boto3 and `runtime/aws`."""
