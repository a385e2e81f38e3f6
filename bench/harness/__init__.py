"""What the benchmarks share: tools, servers, load, measurement and report."""
