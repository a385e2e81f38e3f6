"""Entry points of worker and finder, and their wiring."""
