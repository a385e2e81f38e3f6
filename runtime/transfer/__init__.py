"""Copying of objects: whole, in parts, and by the fleet."""
