"""Commands for the time before the first `pulumi up`."""
