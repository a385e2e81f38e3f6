"""Access to a bucket: user or role, hand-over, notifications, checks before a deployment."""
