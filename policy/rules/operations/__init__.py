"""Rules about what keeps a pair operable: retention, scaling, names, partitions, providers, the kinds of resources."""
