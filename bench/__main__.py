"""`python -m bench [NAME …] [--quick] [--write]`: run benchmarks, print them beside their targets and peers."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable

from bench import far, finder, large, small, start
from bench.harness import place, tools
from bench.harness.report import Section, table, write
from bench.harness.stage import Stage, stage

BENCHMARKS: dict[str, Callable[..., Section]] = {
    "small": small.measure,
    "far": far.measure,
    "large": large.measure,
    "finder": finder.measure,
    "start": start.measure,
}


def main(arguments: list[str]) -> int:
    """Run the benchmarks. Exit code: 0 all targets met (or a quick run completed), 1 one missed, 2 no servers."""
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
        print(f"missing on this machine: {', '.join(absent)} (they come by go, and by mvn and java): nothing measured")
        return 0 if given.if_possible else 2
    # Ended by a signal, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sections = []
    for name in given.names or BENCHMARKS:
        with place.data() as folder, stage(folder) as servers:
            sections.append(_measure(BENCHMARKS[name], servers, given.quick))
            print(table(sections[-1]), flush=True)
    if given.write and given.names:
        print("the page is not written: it holds all benchmarks, so it wants a run without names")
    elif given.write:
        options = " ".join(argument for argument in arguments if argument != "--write")
        command = f'make bench BENCH="{options}"' if options else "make bench"
        page = write(sections, tools.ROOT / "docs", quick=given.quick, command=command)
        print(f"written: {page.relative_to(tools.ROOT)}")
    if given.quick:
        return 0
    return 1 if any(figure.met is False for section in sections for figure in section.figures) else 0


def _measure(measure: Callable[..., Section], servers: Stage, quick: bool) -> Section:
    return measure(servers, quick=quick)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
