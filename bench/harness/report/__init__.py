"""Figures, their table and page, charts, prices and the machine."""
