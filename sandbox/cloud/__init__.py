"""A moto server on loopback that emulates both accounts in both partitions, with patches where AWS's pages differ."""
