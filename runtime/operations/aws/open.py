"""Open both sides at AWS, each with its own profile, and check that each profile is of the right account."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.loaders
import botocore.session
from botocore.exceptions import BotoCoreError, ProfileNotFound

from dualsync.runtime.aws.boto3_bridge import Threads, client_config
from dualsync.runtime.aws.dynamodb.ledger import DynamoLedger
from dualsync.runtime.aws.endpoints import Network, configured_endpoint
from dualsync.runtime.aws.errors import public_text, translate, without_secrets
from dualsync.runtime.aws.s3.bucket import S3Bucket
from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.aws.sqs import SqsQueue
from dualsync.runtime.errors import DualSyncError, FatalError, RetryableError, UnavailableError
from dualsync.runtime.operations.aws.absent import without_absent_parts
from dualsync.runtime.operations.aws.bucket_listing import S3BucketLister
from dualsync.runtime.operations.aws.dead_letter_queue import SqsDeadLetterQueue
from dualsync.runtime.operations.aws.history import CloudWatchHistory
from dualsync.runtime.operations.aws.metrics import AwsSideMetrics
from dualsync.runtime.operations.aws.sign_in import sign_in_problem
from dualsync.runtime.operations.aws.store import CopyingBucket, S3Store
from dualsync.runtime.operations.context import OperatorContext, Side
from dualsync.runtime.operations.stacks import Pair, Stack
from dualsync.runtime.platform import LoopParallel, SystemClock
from dualsync.runtime.settings import SideName

THREADS = 32


async def open_context(pair: Pair) -> OperatorContext:
    """Open all deployed sides.

    A side whose credential is missing, refused, of another account or the dedicated user's is left out, with the
    reason and the remedy. Raises their errors as one when no side can be reached.
    """
    opened = await asyncio.gather(*(_open(stack) for stack in pair.stacks.values()), return_exceptions=True)
    sides: dict[SideName, Side] = {}
    names: dict[str, None] = {}
    unreachable = dict(pair.unreadable)
    unavailable: set[SideName] = set()
    for stack, found in zip(pair.stacks.values(), opened, strict=True):
        if isinstance(found, DualSyncError):
            unreachable[stack.side] = str(found)
            unavailable |= {stack.side} if isinstance(found, RetryableError) else set()
        elif isinstance(found, BaseException):
            raise found
        else:
            side, who = found
            sides[side.name] = side
            names[who] = None
    if not sides:
        kind = UnavailableError if len(unavailable) == len(unreachable) else FatalError
        raise kind("; ".join(dict.fromkeys(unreachable.values())))
    return OperatorContext(
        pair=pair.name,
        sides=sides,
        clock=SystemClock(),
        parallel=LoopParallel(),
        operator_arns=" / ".join(names),
        unreachable=unreachable,
        unavailable=frozenset(unavailable),
        notes=pair.notes,
    )


@functools.cache
def _loader() -> Any:
    return botocore.loaders.create_loader()


def _session(stack: Stack) -> botocore.session.Session:
    session = botocore.session.Session(profile=stack.profile or None)
    try:
        session.get_scoped_config()
    except ProfileNotFound:
        using = f"profile {stack.profile!r}" if stack.profile else f"profile {session.profile!r} of AWS_PROFILE"
        raise FatalError(
            f"side {stack.side}: {using} is not in your AWS config: give --profile-{stack.side}"
            " NAME of a profile in its account, or make it with `aws configure sso`"
        ) from None
    except BotoCoreError as e:
        raise FatalError(f"side {stack.side}: your AWS config can't be read: {public_text(e)}; correct it") from None
    # Services' descriptions are read once for both sides.
    session.register_component("data_loader", _loader())
    return session


def client_maker(stack: Stack) -> Callable[[str], Any]:
    """Return a function that creates the side's clients on first use, one per service.

    Call it on the event loop's thread: sessions are not thread-safe. Raises `FatalError` for an unknown profile.
    """
    core = _session(stack)
    session = boto3.Session(botocore_session=core, region_name=stack.settings.local_region)
    endpoint = stack.services.get("AWS_ENDPOINT_URL", "")

    def given(service: str) -> str:
        return (stack.settings.local_endpoint if service == "s3" else "") or endpoint

    def address(service: str) -> str:
        return given(service) or configured_endpoint(core, service, variables=not stack.profile)

    @functools.cache
    def make(service: str) -> Any:
        config = client_config(THREADS, "path" if given(service) and service == "s3" else "auto")
        connect: Any = session.client
        return connect(service, config=config, endpoint_url=address(service) or None)

    for service in ("sts", "s3", "sqs", "dynamodb"):
        if not _is_address(address(service)):
            raise FatalError(
                f"side {stack.side}: endpoint={without_secrets(address(service))!r}: is no address of {service};"
                " correct it where the pair file, your AWS profile or AWS_ENDPOINT_URL names it"
            )
    return make


def _is_address(url: str) -> bool:
    """Return whether an endpoint can be reached by HTTP; True for none, which is the region's own."""
    try:
        parts = urlsplit(url)
        return not url or (parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return False


async def _open(stack: Stack) -> tuple[Side, str]:
    settings, threads = stack.settings, Threads(THREADS)
    client = client_maker(stack)
    who = await _check(stack, client, threads)
    network = Network(settings.local_region, session=_session(stack), variables=not stack.profile)
    endpoint = stack.services.get("AWS_ENDPOINT_URL", "")
    own = settings.local_endpoint or endpoint
    s3, path_style = network.bucket_client(settings.local_bucket, own)
    options = Options(owner=settings.local_account, requester_pays=settings.requester_pays, restores=not own)
    side = Side(
        name=SideName(stack.side),
        settings=settings,
        bucket=S3Bucket(s3, settings.local_bucket, settings.local_prefix, path_style=path_style, options=options),
        whole_bucket=S3Bucket(s3, settings.local_bucket, path_style=path_style, options=options),
        ledger=DynamoLedger(
            network.client("dynamodb", endpoint), settings.ledger_table, tombstone_days=settings.tombstone_days
        ),
        queue=SqsQueue(network.client("sqs", endpoint), settings.queue_url, settings.dead_letter_queue_url),
        dead_letter_queue=SqsDeadLetterQueue(client, settings.dead_letter_queue_url, threads=threads),
        store=S3Store(
            client,
            CopyingBucket(
                s3,
                settings.local_bucket,
                settings.local_prefix,
                path_style=path_style,
                options=replace(options, tags=settings.include_tags),
            ),
            settings.local_bucket,
            settings.local_prefix,
            threads=threads,
            carries_tags=settings.include_tags,
        ),
        metrics=AwsSideMetrics(stack, client, threads),
        history=CloudWatchHistory(client, stack.fact("workerLogGroup"), threads=threads),
        lister=S3BucketLister(client, settings.local_bucket, settings.local_prefix, threads=threads),
        facts=stack.facts,
    )
    return without_absent_parts(side), who


async def _check(stack: Stack, client: Callable[[str], Any], threads: Threads) -> str:
    """Return whose credential it is. A wrong account must fail before anything is read or written there."""
    using = f"profile {stack.profile!r}" if stack.profile else "the shell's credential"
    other = f"give --profile-{stack.side} NAME of a profile in its account"

    try:
        answer = await threads.call(client("sts").get_caller_identity)
    except Exception as e:  # a profile's credential process and settings fail in many ways
        problem = sign_in_problem(e, stack.profile)
        if problem:
            raise FatalError(f"side {stack.side}: {using} {problem}; or {other}") from None
        error = translate(e, "sts", f"caller identity for {stack.side}")
        text = f"side {stack.side} cannot be reached with {using}: {error}; check the network, or {other}"
        raise (UnavailableError if isinstance(error, RetryableError) else FatalError)(text) from None
    wanted = stack.fact("accountId") or stack.settings.local_account
    if wanted and answer["Account"] != wanted:
        raise FatalError(
            f"side {stack.side} is in account {wanted}, but {using} is of account {answer['Account']}: {other}"
        )
    if answer["UserId"] in stack.settings.own_user_ids:
        raise FatalError(
            f"{using} is the dedicated user of {stack.side}: its writes count as echoes; {other} that is your own"
        )
    return str(answer["Arn"])
