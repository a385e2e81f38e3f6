"""The sandbox's accounts, stacks and processes."""
