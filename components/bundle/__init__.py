"""The bundle that workers and finder run, and its upload."""
