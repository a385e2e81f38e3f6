"""The sandbox's resource handlers as a provider that the real engine attaches, and the stacks' whole life under it."""
