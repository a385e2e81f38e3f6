"""Benchmarks against peers, on real servers of this machine: `make bench`, or `python -m bench [NAME …] [--quick]`."""
