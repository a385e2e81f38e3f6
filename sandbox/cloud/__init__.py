"""A moto server on loopback that plays both accounts in both partitions, with moto's gaps closed as AWS documents."""
