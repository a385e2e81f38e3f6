"""Chaos: users and real processes under kills, stops and a proxy that cuts, delays and repeats; two judges decide."""
