"""Shared parts of the benchmarks: tools, servers, load, measurement, report."""
