"""The servers of a benchmark, and replacements for those that would be the limit."""
