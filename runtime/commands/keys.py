"""`dualsync rotate-key`: a new key for a side's dedicated user, and the proof that all workers use it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from dualsync.runtime.commands.output.formatting import duration
from dualsync.runtime.commands.session import Exit, Json, Session, Yes, escape, session, side_named
from dualsync.runtime.operations import keys
from dualsync.runtime.operations.audit import audit_act
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.operations.keys import AccessKeyState, Phase
from dualsync.runtime.settings import SideName


def rotate_key(
    invocation: typer.Context,
    side: Annotated[SideName, typer.Argument(help="The side whose dedicated user gets a new key.")],
    run: Annotated[bool, typer.Option("--run", help="Run the commands now, then wait for the proof.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for another key: the commands run elsewhere.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for the proof.")] = 600,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Show the state of a dedicated user's key and the commands that rotate it; with --run run them.

    The order is new key, secret, old key. Nothing stops meanwhile: workers wait for a refused key's successor without
    losing a message. An interrupted rotation is completed by running it again. A second key that neither the secret nor
    the stack names is deleted first. Exit code 3 unless exactly one key exists, the secret names it, and every living
    worker of the peer has proven it.
    """
    cli = session(invocation, json)
    stack = cli.location.stack_names.get(side, str(side))

    def one(context: OperatorContext) -> Side:
        return side_named(context, side)

    before = cli.run(lambda context: keys.key_state(context, one(context)))
    second = before.phase is Phase.SECOND_KEY
    steps: list[list[str]] = []
    if before.phase is Phase.ROLE and (run or wait):
        cli.exit_on_error(lambda: keys.refuse_role(str(side)))
    if not wait and before.phase is not Phase.ROLE:
        version = cli.exit_on_error(lambda: keys.present_version(cli.location.project, stack)) if run else None
        steps = keys.rotation_commands(stack, "N+1" if version is None else str(version + 1))
        # An interrupted rotation is completed with the same version: only the update is run again.
        steps = steps[1:] if before.phase is Phase.ROTATING else steps
        if second:
            steps = [
                keys.delete_command(before, cli.location.profiles.get(side, "")),
                keys.clear_command(stack),
                *steps,
            ]
    if run:
        if second:
            cli.print_progress(_words(before))
        cli.confirm(f"Give {side}'s dedicated user a new key? ({' && '.join(' '.join(s) for s in steps)})", yes)
        cli.run(lambda context: _rotate(cli, context, one(context), before, steps))
    after = before
    if run or wait:
        cli.print_progress("waiting until every worker has proven the new key …")
        after = cli.run(lambda context: keys.until_rotated(context, one(context), before, timeout))
    done = after.is_healthy and (not (run or wait) or after.expected_user != before.expected_user)

    def text() -> None:
        cli.out.print(_words(after))
        if steps and not (run or wait):
            cli.out.print("\nto rotate it (or let --run do it):")
            for step in steps:
                cli.out.print(f"  {escape(' '.join(step))}")

    cli.print_result(_data(after) | {"commands": steps}, text, Exit.DONE if done else Exit.ATTENTION)


async def _rotate(
    cli: Session, context: OperatorContext, side: Side, state: AccessKeyState, steps: list[list[str]]
) -> None:
    arguments: dict[str, object] = {"side": str(side.name)}
    if state.phase is Phase.SECOND_KEY:
        arguments["deleted_key"] = state.unnamed_keys[0].id
    async with audit_act(context, [side], "rotate-key", arguments):
        if state.phase is Phase.SECOND_KEY:
            await side.metrics.delete_key(state.unnamed_keys[0].id)
            steps = steps[1:]
        # In a thread: else Ctrl-C, which ends the commands too, would end the record of their failure.
        await asyncio.to_thread(keys.run_commands, cli.location.project, steps)


def _words(state: AccessKeyState) -> str:
    name, peer = state.side.name, state.side.name.peer
    age = duration(state.age)
    named = escape(state.expected_user.key_id) if state.expected_user is not None else ""
    others = ", ".join(key.id for key in state.unnamed_keys)
    lines = {
        Phase.STEADY: f"[green]{name}'s user has one key {named}, {age} old, and the secret at {peer} names it[/green]",
        Phase.ROTATING: f"[yellow]{name}'s user has two keys: a rotation is under way, or was interrupted[/yellow]"
        f" (named by the secret: {named}; not named: {others})",
        Phase.SECOND_KEY: f"[yellow]{name}'s user has a second key {others}, which neither the secret nor the stack"
        f" names: both name {named}[/yellow]. It was made by hand, or by an interrupted `pulumi up`. While it exists,"
        " no rotation is possible (two keys per user). If nothing of yours uses it, delete it.",
        Phase.BROKEN: f"[red]the secret at {peer} names the key {named}, which is no active key of {name}'s user: run"
        f" `pulumi up --refresh` of {name}[/red]",
        Phase.ROLE: f"[green]{peer}'s workers act at {name} as a role[/green]: there is no access key to rotate. The"
        " runbook has how to renew the keys that sign, and how to shut a peer out.",
        Phase.UNKNOWN: "[yellow]your credentials may not read the user's keys or the secret[/yellow]"
        + f" (the secret names the key {named})" * bool(named),
    }
    return f"{lines[state.phase]}\n{state.ready} of {state.alive} living workers of {peer} have proven it"


def _data(state: AccessKeyState) -> dict[str, Any]:
    return {
        "side": str(state.side.name),
        "phase": str(state.phase),
        "keys": [{"id": k.id, "created": k.created, "active": k.active} for k in state.keys or ()],
        "secret_names": state.expected_user.key_id if state.expected_user else None,
        "workers": state.alive,
        "workers_ready": state.ready,
        "fine": state.is_healthy,
    }
