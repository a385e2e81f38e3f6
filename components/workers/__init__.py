"""Worker fleet and finder."""
