"""A full comparison of both buckets, apart from the sync's own code, so that a fault there can't hide a difference."""
