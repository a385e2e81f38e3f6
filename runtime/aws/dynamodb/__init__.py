"""The adapter to DynamoDB: the ledger."""
