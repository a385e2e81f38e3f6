"""What comes before the first `pulumi up`: writing the stacks' config, and checking both accounts against it."""
