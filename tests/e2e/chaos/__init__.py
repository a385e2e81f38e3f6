"""Chaos run: users and real processes under kills, stops and a faulty proxy; two judges check the result."""
