"""`dualsync doctor`: whether both accounts, this machine and the deployment are in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from dualsync.runtime.commands.session import Exit, Json, Session, escape, session
from dualsync.runtime.operations.problems import BOTH, Problem, Severity, problems
from dualsync.runtime.operations.stacks import Pair, PairNotFoundError, find_pair
from dualsync.runtime.operations.status import read_status
from dualsync.runtime.settings import SideName

if TYPE_CHECKING:
    from dualsync.runtime.operations.context import OperatorContext
    from dualsync.runtime.operations.setup.account import Account
    from dualsync.runtime.operations.setup.declared import Declaration, DeclaredSide
    from dualsync.runtime.operations.setup.doctor import CheckResult

COLOURS = {"ok": "green", "warning": "yellow", "wrong": "red"}
OpenAccount = Callable[["DeclaredSide"], "Account"]


def doctor(
    invocation: typer.Context,
    machine: Annotated[
        bool, typer.Option(help="Check Pulumi and its plugin on this machine; --no-machine for an operator's laptop.")
    ] = True,
    json: Json = False,
) -> None:
    """Check both accounts and this machine before the first `pulumi up`, and the deployment after it. Reads only.

    Identity, bucket, region, versioning, other consumers of the bucket's events, the subnets' routes to the internet,
    instance type, the finder's image, permissions (simulated by IAM), Pulumi, its plugin, and the clock. Each line has
    its remedy.
    Exit code 3 when something is wrong; warnings alone are 0.
    """
    cli = session(invocation, json)
    found = cli.exit_on_error(lambda: _examine(cli, machine))
    wrong = sum(f.verdict.value == "wrong" for f in found)
    warnings = sum(f.verdict.value == "warning" for f in found)
    document = {
        "fine": not wrong,
        "findings": [
            {"side": f.side, "check": f.check, "verdict": str(f.verdict), "what": f.what, "remedy": f.remedy}
            for f in found
        ],
    }

    def text() -> None:
        for side in dict.fromkeys(f.side for f in found):
            cli.out.print(f"[bold]{side}[/bold]")
            for f in found:
                if f.side == side:
                    _line(cli, f)
        counted = f"{wrong} wrong, {warnings} warnings, {len(found) - wrong - warnings} ok"
        colour = "red" if wrong else "yellow" if warnings else "green"
        cli.out.print(f"[{colour}]{counted}[/{colour}]")

    cli.print_result(document, text, Exit.ATTENTION if wrong else Exit.DONE)


def _line(cli: Session, f: CheckResult) -> None:
    colour = COLOURS[f.verdict.value]
    cli.out.print(f"  [{colour}]{f.verdict}[/{colour}] {escape(f.check)}: {escape(f.what)}")
    if f.remedy:
        cli.out.print(f"    [dim]→ {escape(f.remedy)}[/dim]")


def _examine(cli: Session, machine: bool) -> list[CheckResult]:
    from dualsync.runtime.operations.aws.account import AwsAccount, partition_of
    from dualsync.runtime.operations.setup.doctor import check_setup
    from dualsync.runtime.operations.setup.machine import examine_machine

    found: list[CheckResult] = []
    pair, missing = _deployed(cli)
    declaration = _declaration(cli, pair)
    opened = {side: AwsAccount(declared) for side, declared in declaration.sides.items()}
    accounts: dict[SideName, Account] = dict(opened)
    if machine:
        found += examine_machine(cli.location.project)
    try:
        found += asyncio.run(check_setup(declaration, accounts, partition_of))
    finally:
        for account in opened.values():
            account.close()
    found += _deployment(cli, pair, missing)
    return found


def _deployed(cli: Session) -> tuple[Pair | None, str]:
    """Return the deployed pair, or why there is none."""
    try:
        return find_pair(cli.location), ""
    except PairNotFoundError as e:
        if cli.location.file is not None:
            raise
        return None, str(e).removeprefix("no stack's outputs can be read: ").partition("; ")[0]


def _declaration(cli: Session, pair: Pair | None) -> Declaration:
    """Return what config declares; for a pair file without the program's folder, what the outputs show."""
    from dualsync.runtime.operations.setup.declared import declaration_of, read_declaration

    if cli.location.file is not None and pair is not None:
        return declaration_of(pair)
    return read_declaration(cli.location.project, cli.location.stack_names, cli.location.profiles)


def _deployment(cli: Session, pair: Pair | None, missing: str) -> Iterable[CheckResult]:
    from dualsync.runtime.operations.setup.doctor import CheckResult, Verdict

    if pair is None:
        return [
            CheckResult(
                "deployment", "stacks", Verdict.FINE, f"not deployed yet, as far as can be read here: {missing}"
            )
        ]
    try:
        wrong = cli.run(_problems, partial=True, names_unreachable=True)
    except typer.Exit:
        return [
            CheckResult("deployment", "status", Verdict.WRONG, "can't be read", "`dualsync status` shows why"),
        ]
    verdicts = {Severity.STOPPED: Verdict.WRONG, Severity.WAITING: Verdict.WRONG, Severity.NOTE: Verdict.WARNING}
    shown = [
        CheckResult(
            "deployment",
            "both directions" if p.direction == BOTH else p.direction,
            verdicts[p.weight],
            p.what,
            p.remedy,
        )
        for p in wrong
    ]
    return shown or [CheckResult("deployment", "status", Verdict.FINE, "changes travel in both directions")]


async def _problems(context: OperatorContext) -> list[Problem]:
    return problems(await read_status(context))
