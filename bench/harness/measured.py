"""The resources that a run of a program used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Measured:
    """A run over objects: a worker's from the first receive to the empty queue, a peer's from its start to its end."""

    objects: int
    """Number of objects."""
    seconds: float
    """Wall seconds until all was done."""
    cpu: float
    """CPU seconds of the program."""
    rss: int
    """Largest resident memory in bytes."""
    servers: float = 0.0
    """CPU seconds of the servers meanwhile."""

    @property
    def rate(self) -> float:
        return self.objects / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.objects / self.cpu

    @property
    def cpu_ms(self) -> float:
        return self.cpu / self.objects * 1000

    @property
    def servers_ms(self) -> float:
        return self.servers / self.objects * 1000
