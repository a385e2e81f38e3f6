"""`dualsync verify`: compare both sides, with a report to keep."""

from __future__ import annotations

import json as texts
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from dualsync.runtime.commands.output.progress import show_progress
from dualsync.runtime.commands.session import Exit, Json, Prefix, Session, escape, note_whole_prefix, session
from dualsync.runtime.errors import FatalError
from dualsync.runtime.log import printable_json
from dualsync.runtime.operations.context import OperatorContext
from dualsync.runtime.operations.finder_run import last_counts
from dualsync.runtime.operations.verify import render
from dualsync.runtime.operations.verify.compare import ComparisonCounts, ComparisonDepth, Content
from dualsync.runtime.operations.verify.report import Report
from dualsync.runtime.operations.verify.run import verify as run

T = TypeVar("T")


def verify(
    invocation: typer.Context,
    content: Annotated[Content, typer.Option(help="Of which objects the content is read and hashed.")] = Content.UNSURE,
    metadata: Annotated[bool, typer.Option("--metadata", help="Compare headers and user metadata.")] = False,
    tags: Annotated[bool, typer.Option("--tags", help="Compare tags.")] = False,
    sample: Annotated[
        float, typer.Option(min=0, max=100, help="Percentage of the keys for content, metadata and tags.")
    ] = 100.0,
    read_limit: Annotated[int, typer.Option(min=0, help="GiB to read of each side at most.")] = 100,
    prefix: Prefix = "",
    grace: Annotated[float, typer.Option(min=0, help="Seconds; younger differences count as on their way.")] = 900,
    out: Annotated[
        Path | None, typer.Option(help="Folder for dated reports: text, JSON, a page with plots, all differences.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare both buckets, every key, without the sync's own code. Reads only.

    Keys, sizes and ETags come from the listings. Where ETags can't be compared (multipart, encryption), checksums do;
    where there are none, the content is read. Each difference gets its likely cause from the ledgers. Memory stays
    small with millions of keys. Exit code 3 when the sides differ by more than what is on its way.
    """
    cli = session(invocation, json)
    depth = ComparisonDepth(content=content, metadata=metadata, tags=tags, sample=sample, read_limit=read_limit << 30)
    name = f"verify-{datetime.now(UTC).strftime('%Y%m%dT%H%M%SZ')}"
    if out is not None:
        cli.exit_on_error(lambda: _written(out, lambda: out.mkdir(parents=True, exist_ok=True)))

    async def work(context: OperatorContext) -> Report:
        note_whole_prefix(cli, context, prefix)
        with ExitStack() as stack:
            each = None
            if out is not None:
                file = out / f"{name}.differences.jsonl"
                listed = stack.enter_context(_written(out, lambda: file.open("w", encoding="utf-8")))

                def each(data: dict[str, Any]) -> None:
                    listed.write(printable_json(texts.dumps(data, ensure_ascii=False)) + "\n")

            counts = None if prefix else await last_counts(context)
            on_progress = stack.enter_context(show_progress(cli, "comparing", max(counts) if counts else None))

            def note(seen: ComparisonCounts) -> None:
                words = f"{seen.cn:,} at cn, {seen.global_:,} at global, {seen.equal:,} equal"
                on_progress(max(seen.cn, seen.global_), words)

            return await run(context, depth, prefix=prefix, grace=grace, on_progress=note, each=each)

    report = cli.run(work)
    files = _write(cli, report, out, name) if out is not None else []

    def text() -> None:
        colour = "green" if report.is_consistent else "yellow"
        before, verdict, after = render.report_text(report).rpartition(report.verdict)
        cli.out.print(before, markup=False, end="")
        cli.out.print(f"[{colour}]{escape(verdict)}[/{colour}]")
        cli.out.print(after.lstrip("\n"), markup=False, end="")
        for file in files:
            cli.out.print(f"written: {file}", markup=False)

    document = report.data | {"files": [str(file) for file in files]}
    cli.print_result(document, text, Exit.DONE if report.is_consistent else Exit.ATTENTION)


def _written(folder: Path, act: Callable[[], T]) -> T:
    """Return what `act` returns. Raises `FatalError` if the folder can't be written."""
    try:
        return act()
    except OSError as e:
        raise FatalError(f"--out {folder}: {e.strerror}; give a folder that can be written") from None


def _write(cli: Session, report: Report, folder: Path, name: str) -> list[Path]:
    contents = {
        "txt": render.report_text(report, shown=1000),
        "json": printable_json(texts.dumps(report.data, indent=2, ensure_ascii=False)) + "\n",
        "html": render.report_html(report),
    }
    files = [folder / f"{name}.differences.jsonl"]
    for ending, content in contents.items():
        file = folder / f"{name}.{ending}"
        try:
            file.write_text(content, encoding="utf-8")
        except OSError as e:
            cli.fail(f"{file}: {e.strerror}", Exit.FAILED)
        files.append(file)
    return files
