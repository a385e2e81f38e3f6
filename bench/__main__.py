"""`python -m bench [NAME …] [--quick] [--write]`: run benchmarks, print them beside their targets and peers."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable

from bench import far, finder, large, processes, small, start
from bench.harness import place
from bench.harness.report.figures import Section, table, write
from bench.harness.servers import tools
from bench.harness.stage import Stage, stage

BENCHMARKS: dict[str, Callable[..., Section]] = {
    "small": small.measure,
    "plain": small.measure_plain,
    "far": far.measure,
    "large": large.measure,
    "processes": processes.measure,
    "finder": finder.measure,
    "start": start.measure,
}
PLAIN = {"plain"}
"""Benchmarks whose servers have no TLS."""


def main(arguments: list[str]) -> int:
    """Run the benchmarks and return the exit code.

    0: all targets are met, or a quick run completed. 1: one is missed. 2: servers are missing. 3: a benchmark failed.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all when none is given")
    parser.add_argument("--quick", action="store_true", help="small numbers: for the harness, not for its figures")
    parser.add_argument("--write", action="store_true", help="write the page under docs/, of a run of all")
    parser.add_argument("--no-peers", action="store_true", help="this program alone: no peer is built or run")
    parser.add_argument("--if-possible", action="store_true", help="missing servers are no failure")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}: give some of {', '.join(BENCHMARKS)}")
    tools.peers_wanted = not given.no_peers
    absent = tools.missing()
    if absent:
        print(f"missing on this machine: {', '.join(absent)} (installed by go, and by mvn with java): nothing measured")
        return 0 if given.if_possible else 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    sections: list[Section] = []
    failed: list[str] = []
    for name in given.names or BENCHMARKS:
        try:
            with place.data() as folder, stage(folder, secure=name not in PLAIN) as servers:
                sections.append(_measure(BENCHMARKS[name], servers, given.quick))
        except RuntimeError as error:
            # The results of the other benchmarks are printed nevertheless.
            failed.append(name)
            print(f"{name}: not measured: {error}", file=sys.stderr, flush=True)
        else:
            print(table(sections[-1]), flush=True)
    if given.write and (given.names or failed):
        print("the page is not written: it holds all benchmarks, so it needs a whole run without names")
    elif given.write:
        options = " ".join(argument for argument in arguments if argument != "--write")
        command = f'make bench BENCH="{options}"' if options else "make bench"
        page = write(sections, tools.ROOT / "docs", quick=given.quick, command=command)
        print(f"written: {page.relative_to(tools.ROOT)}")
    if failed:
        return 3
    if given.quick:
        return 0
    return 1 if any(figure.met is False for section in sections for figure in section.figures) else 0


def _end(number: int, frame: object) -> None:
    """End this process and all that it started after a signal, and ignore further signals meanwhile."""
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def _measure(measure: Callable[..., Section], servers: Stage, quick: bool) -> Section:
    return measure(servers, quick=quick)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
