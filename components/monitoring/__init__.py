"""Alarms, dashboard, metric filters and topic."""
