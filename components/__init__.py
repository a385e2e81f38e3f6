"""Pulumi components: `DualSyncPair` and its parts."""
