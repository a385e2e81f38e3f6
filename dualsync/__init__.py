"""Keep two S3 buckets identical while both are written to: the Pulumi components and the runtime they deploy."""
