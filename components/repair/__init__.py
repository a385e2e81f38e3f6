"""Repair of a stack's state after an interrupted `pulumi up`, and after the loss of the peer's account."""
