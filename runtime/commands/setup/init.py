"""`dualsync init`: the config of both stacks, from questions or from options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from dualsync.runtime.commands.session import Exit, Json, Session, escape, session
from dualsync.runtime.settings import Direction, SideName

Account = Annotated[str, typer.Option(help="Account number, 12 digits.")]
Region = Annotated[str, typer.Option(help="Region of the bucket.")]
Bucket = Annotated[str, typer.Option(help="The bucket, which must exist.")]
Prefix = Annotated[str, typer.Option(help="Only keys below this are synchronised; default: all.")]
Issuer = Annotated[
    str,
    typer.Option(help="Public HTTPS address of the side's key issuer; with both, roles take the users' place."),
]
Image = Annotated[str, typer.Option(help="The finder's image by digest, which China regions need.")]


def init(
    invocation: typer.Context,
    name: Annotated[str, typer.Option(help="Name of the pair; all names of resources begin with it.")] = "",
    account_cn: Account = "",
    account_global: Account = "",
    region_cn: Region = "",
    region_global: Region = "",
    bucket_cn: Bucket = "",
    bucket_global: Bucket = "",
    prefix_cn: Prefix = "",
    prefix_global: Prefix = "",
    finder_image_cn: Image = "",
    finder_image_global: Image = "",
    issuer_cn: Issuer = "",
    issuer_global: Issuer = "",
    alarm_email: Annotated[str, typer.Option(help="Address that receives the alarms.")] = "",
    keep_loser: Annotated[
        bool, typer.Option(help="Keep the losing version of a conflict under a conflict name.")
    ] = True,
    direction: Annotated[
        Direction | None, typer.Option(help="Directions in which changes are copied; one of them makes a mirror.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files of the stacks.")] = False,
    json: Json = False,
) -> None:
    """Write the config of both stacks: Pulumi.<stack>.yaml in the program's folder. Nothing in the cloud is touched.

    Without an option its value is asked for, apart from those with a default and the issuers. --profile-cn and
    --profile-global name the deployment's AWS profiles, --stack-cn and --stack-global the stacks. Existing files are
    kept unless --force is given.
    """
    cli = session(invocation, json)
    asking = not cli.json and sys.stdin.isatty()
    given = {
        SideName.CN: {
            "accountId": account_cn,
            "region": region_cn,
            "bucket": bucket_cn,
            "prefix": prefix_cn,
            "finderImage": finder_image_cn,
            "issuer": issuer_cn,
        },
        SideName.GLOBAL: {
            "accountId": account_global,
            "region": region_global,
            "bucket": bucket_global,
            "prefix": prefix_global,
            "finderImage": finder_image_global,
            "issuer": issuer_global,
        },
    }
    cli.exit_on_error(lambda: _init(cli, asking, name, given, alarm_email, keep_loser, direction, force))


def _init(
    cli: Session,
    asking: bool,
    name: str,
    given: dict[SideName, dict[str, str]],
    email: str,
    keep_loser: bool,
    chosen: Direction | None,
    force: bool,
) -> None:
    from dualsync.runtime.operations.aws.account import partition_of
    from dualsync.runtime.operations.setup import stack_files as operations

    folder = cli.location.project
    if not (folder / "Pulumi.yaml").exists():
        cli.fail(f"{folder}: no Pulumi.yaml there; run this in the program's folder, or give --project DIR", Exit.USAGE)

    def check(key: str) -> Callable[[str], str]:
        return lambda value: operations.check_answer(key, value, partition_of)

    def ask(text: str, key: str, value: str, default: str = "") -> str:
        if value or not asking:
            return value or default
        return _ask(text, check(key), default)

    pair = ask("Name of the pair", "pair", name, "dth-dual")
    direction = Direction(ask(f"Direction ({', '.join(Direction)})", "direction", chosen or "", str(Direction.BOTH)))
    sides = {}
    regions = {SideName.CN: "cn-north-1", SideName.GLOBAL: "us-west-2"}
    missing = [
        f"--{option}-{side}"
        for side in SideName
        for option, key in (("account", "accountId"), ("region", "region"), ("bucket", "bucket"))
        if not given[side][key]
    ]
    if missing and not asking:
        cli.fail(f"give {', '.join(missing)}, or run it in a terminal, where it asks", Exit.USAGE)
    for side in SideName:
        values = given[side]
        stack = cli.location.stack_names.get(side, "")
        if not stack:
            taken = asking and not force and (folder / f"Pulumi.{side}.yaml").exists()
            stack = ask(f"Stack of {side}", "stack", "", f"{pair}-{side}" if taken else str(side))
        values["accountId"] = ask(f"Account of {side} (12 digits)", "accountId", values["accountId"])
        values["region"] = ask(f"Region of {side}", "region", values["region"], regions[side])
        values["bucket"] = ask(f"Bucket of {side}", "bucket", values["bucket"])
        values["prefix"] = ask(f"Prefix at {side} (empty: all keys)", "prefix", values["prefix"])
        profile = cli.location.profiles.get(side) or ask(f"AWS profile of {side}", "profile", "", f"dualsync-{side}")
        if values["region"].startswith("cn-") and direction.carries(side):
            question = f"Finder image of {side} by digest (empty: later)"
            values["finderImage"] = ask(question, "finderImage", values["finderImage"])
        sides[side] = operations.SideAnswers(
            account=values["accountId"],
            region=values["region"],
            bucket=values["bucket"],
            prefix=values["prefix"],
            profile=profile,
            image=values["finderImage"],
            stack=stack,
            issuer=values["issuer"],
        )
    answers = operations.Answers(
        pair=pair,
        sides=sides,
        email=ask("E-mail for alarms (empty: none)", "alarmEmail", email),
        keep_loser=keep_loser,
        direction=direction,
    )
    operations.check_answers(answers, partition_of)
    files = operations.stack_files(folder, answers, partition_of)
    operations.write_files(files, force=force)
    steps = operations.next_steps(answers)

    def text() -> None:
        for path in files:
            cli.out.print(f"written: {escape(str(path))}")
        for side, one in sides.items():
            if one.region.startswith("cn-") and not one.image and direction.carries(side):
                cli.out.print(
                    f"[yellow]{side}: finderImage is not given; China regions need it before `pulumi up`"
                    " (docs/getting-started.md)[/yellow]"
                )
        cli.out.print("next:")
        for step in steps:
            cli.out.print(f"  {escape(step)}")

    cli.print_result({"files": [str(path) for path in files], "next": list(steps)}, text)


def _ask(text: str, check: Callable[[str], str], default: str) -> str:
    """Ask until the answer is valid. An empty answer is the default."""
    while True:
        answer = str(typer.prompt(text, default=default, show_default=bool(default), err=True)).strip()
        optional = "empty" in text
        wrong = "" if optional and not answer else check(answer)
        if not wrong:
            return answer
        typer.echo(f"{answer!r}: {wrong}", err=True)
