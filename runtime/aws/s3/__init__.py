"""The adapter to S3."""
