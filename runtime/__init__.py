"""What runs in the cloud, and the operator's commands."""

__version__ = "0.1.0"
