"""Test copies in parts over HTTP with real adapters: workers that stop, changed objects, flipped bytes, clean-up."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from dualsync.runtime.aws.credentials import Credential, FixedCredentials
from dualsync.runtime.aws.endpoints import Network
from dualsync.runtime.aws.sts import StsIdentity
from dualsync.runtime.model.objects import Attributes
from dualsync.runtime.model.records import UPLOAD
from dualsync.runtime.settings import SideName
from dualsync.runtime.sync.context import SyncContext
from dualsync.runtime.transfer.stale_uploads import ABANDONED_SECONDS, sessions_of
from sandbox.cloud.accounts import ACCOUNTS
from tests.integration.http.cloud import EmulatorClock
from tests.integration.http.side import EVERYTHING, AccountClients, IamUser
from tests.integration.http.stage import HttpStage
from tests.simulation.histories.world import sweep_of
from tests.support.fakes.gate import Killed
from tests.support.handlers import handler_of

CN, GLOBAL = SideName.CN, SideName.GLOBAL
MIB = 1 << 20
PARTS = ("given settings multipart_threshold 5242880", "given settings part_size 5242880")
WORKER_ROLE = "scenario-worker"
PARTS_BY_SEVERAL_WORKERS = (*PARTS, "given settings giant_threshold 5242880")


def content(letter: bytes) -> bytes:
    """Return the content of three parts, of which the last is short."""
    return letter * (5 * MIB) + b"middle" * (5 * MIB // 6) + b"--" + b"the end"


class FailingBucket:
    """A bucket that counts calls, and stops the worker after the given number of calls of a method."""

    def __init__(self, bucket: Any, counts: Counter[str], fatal: Mapping[str, int]) -> None:
        self._bucket, self._counts, self._fatal = bucket, counts, fatal

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._bucket, name)
        if name not in ("read_range", "read_part", "put_part", "create_upload", "complete_upload", "list_parts"):
            return call

        async def counted(*args: Any, **named: Any) -> Any:
            answer = await call(*args, **named)
            if name.startswith("read_") and self._counts["flip"]:
                self._counts["flip"] -= 1
                answer = (_flipped(answer[0]), answer[1]) if name == "read_part" else _flipped(answer)
            self._counts[name] += 1
            if self._counts[name] == self._fatal.get(name):
                raise Killed
            return answer

        return counted


def _flipped(body: bytes) -> bytes:
    return bytes([body[0] ^ 1]) + body[1:]


class Play:
    """A stage with one large object at `cn`, whose workers the test starts."""

    def __init__(self, stage: tuple[Mapping[SideName, AccountClients], EmulatorClock], lines: tuple[str, ...]) -> None:
        self.http = HttpStage(*stage)
        for line in (*lines, "settle"):
            self.http.perform(line)
        self.counts: Counter[str] = Counter()

    def put(self, body: bytes) -> None:
        side = self.http.sides[CN]
        side.s3.put_object(Bucket=side.bucket, Key="k", Body=body, Metadata={"w": "large"})

    def arrived(self) -> bytes | None:
        side = self.http.sides[GLOBAL]
        return side.s3.get_object(Bucket=side.bucket, Key="k")["Body"].read() if "k" in side.listed() else None

    def uploads(self) -> int:
        side = self.http.sides[GLOBAL]
        return len(side.s3.list_multipart_uploads(Bucket=side.bucket).get("Uploads", ()))

    def worker(self, messages: int = 100, **fatal: int) -> None:
        """Let one worker process that many messages of `cn`, unless it stops."""
        context = self.http.contexts[CN]
        counts = Counter[str]() if fatal else self.counts
        spied = replace(
            context,
            local=FailingBucket(context.local, counts, fatal),
            remote=FailingBucket(context.remote, counts, fatal),
        )
        self.http._runner.run(self._work(spied, messages))
        if fatal:
            self.counts += counts

    @staticmethod
    async def _work(context: SyncContext, messages: int) -> None:
        while messages and (received := await context.queue.receive(1, 0)):
            messages -= 1
            try:
                await handler_of(context).process(received[0])
            except Killed:
                await context.queue.extend(received[:1], 0)  # as at the end of its visibility timeout
                return

    def settle(self) -> None:
        """Process all visible messages. The delayed check of a copy by several workers is not visible."""
        self.worker()
        self.http.perform("settle")

    def sweep(self) -> int:
        """Run the finder's clean-up with the dedicated user's key and name, and the name of the workers' role."""

        async def sweep() -> int:
            user = self.http.sides[GLOBAL].dedicated
            network = Network(self.http.sides[GLOBAL].region, FixedCredentials(user.credential))
            who = await StsIdentity(network.client("sts", self.http.sides[GLOBAL].cloud.endpoint)).caller_identity()
            workers = sessions_of(ACCOUNTS[CN].account_id, WORKER_ROLE)
            return await sweep_of(self.http.contexts[CN], who.arn, workers).run()

        return self.http._runner.run(sweep())

    def pull(self, role: str, key: str) -> None:
        """Begin an upload to `cn`'s own bucket in a session of this role, and stop before it is recorded."""
        side = self.http.sides[CN]
        iam, sts = side.cloud.client(CN, "iam"), side.cloud.client(CN, "sts")
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=EVERYTHING)
            iam.put_role_policy(RoleName=role, PolicyName="everything", PolicyDocument=EVERYTHING)
        arn = iam.get_role(RoleName=role)["Role"]["Arn"]
        given = sts.assume_role(RoleArn=arn, RoleSessionName="i-0123456789abcdef0")["Credentials"]
        key_of_session = Credential(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

        async def begin() -> None:
            await side.bucket_adapter(IamUser("", key_of_session)).create_upload(key, Attributes(), None)

        self.http._runner.run(begin())

    def upload_records(self) -> int:
        return sum(item.get("RecordKind") == {"S": UPLOAD} for item in self.http.sides[CN].items())


Perform = Callable[..., Play]


@pytest.fixture
def perform(stage: tuple[Mapping[SideName, AccountClients], EmulatorClock]) -> Iterator[Perform]:
    """Yield a function that performs lines of a scenario in a new stage and returns it."""
    plays: list[Play] = []

    def begin(*lines: str) -> Play:
        plays.append(Play(stage, lines))
        return plays[-1]

    yield begin
    for play in plays:
        play.http.close()


def test_another_worker_continues_the_upload_of_a_killed_worker(perform: Perform) -> None:
    play = perform(*PARTS)
    play.put(content(b"a"))
    play.worker(put_part=2)
    assert play.arrived() is None
    assert (play.uploads(), play.upload_records()) == (1, 1)
    put = play.counts["put_part"]
    assert put in (2, 3), "parts are uploaded in parallel: the third may have been under way"
    play.settle()
    assert play.arrived() == content(b"a")
    assert play.counts["create_upload"] == play.counts["complete_upload"] == 1
    assert play.counts["put_part"] <= 4
    assert (play.uploads(), play.upload_records()) == (0, 0)


@pytest.mark.parametrize("versioning", [(), ("given versioning cn=Enabled global=Enabled",)], ids=["never", "enabled"])
def test_an_edit_whose_upload_gave_way_to_a_deletion_is_written_again(
    perform: Perform, versioning: tuple[str, ...]
) -> None:
    play = perform(*PARTS, *versioning)
    play.http.perform("global put k before")
    play.http.perform("settle")
    play.http.perform("wait 100")
    play.put(content(b"e"))
    play.worker(put_part=2)
    play.http.perform("wait 60")
    play.http.perform("global delete k")
    play.settle()
    play.http.perform("finders")
    assert play.arrived() == content(b"e")
    assert play.counts["complete_upload"] == 2, "the first one gave way"
    play.http.perform("expect right")


def test_after_three_killed_workers_the_copy_is_complete_and_no_upload_is_left(perform: Perform) -> None:
    play = perform(*PARTS)
    for number in range(6):
        play.http.perform(f"cn put small{number} w")
    play.put(content(b"g"))
    play.worker(put_part=1)
    assert play.arrived() is None
    play.worker(put_part=1)
    play.worker(complete_upload=1)
    play.settle()
    assert play.arrived() == content(b"g")
    assert play.uploads() == 0
    # A worker that ends between the completion and its record leaves the record to the finder.
    play.http.clock.forward(ABANDONED_SECONDS)
    play.sweep()
    assert (play.uploads(), play.upload_records()) == (0, 0)
    play.http.perform("expect right")


def test_a_copy_in_parts_by_two_workers_continues_when_one_is_killed(perform: Perform) -> None:
    play = perform(*PARTS_BY_SEVERAL_WORKERS)
    play.put(content(b"b"))
    play.worker(1)
    assert play.upload_records() == 1
    play.worker(1)
    play.worker(1, put_part=1)
    play.settle()
    assert play.arrived() == content(b"b")
    assert play.counts["read_range"] == play.counts["put_part"] == 3, (
        "no part is copied twice, not even the killed worker's"
    )
    assert play.counts["complete_upload"] == play.http.counts["writes"] == 1
    assert (play.uploads(), play.upload_records()) == (0, 0)


def test_an_object_replaced_during_its_copy_in_parts_arrives_in_the_new_version(perform: Perform) -> None:
    play = perform(*PARTS_BY_SEVERAL_WORKERS)
    play.put(content(b"c"))
    play.worker(2)
    play.put(content(b"d"))
    play.worker()
    play.settle()
    assert play.arrived() == content(b"d")
    assert (play.uploads(), play.upload_records()) == (0, 0)
    play.http.perform("expect right")


def test_an_object_deleted_during_its_copy_in_parts_does_not_arrive(perform: Perform) -> None:
    play = perform(*PARTS_BY_SEVERAL_WORKERS)
    play.put(content(b"e"))
    play.worker(2)
    play.http.perform("cn delete k")
    play.settle()
    assert play.arrived() is None
    assert play.http.counts["writes"] == 0


def test_an_unrecorded_upload_is_identified_by_its_initiator_and_aborted(perform: Perform) -> None:
    play = perform(*PARTS)
    play.put(content(b"f"))
    play.worker(create_upload=1)
    assert (play.uploads(), play.upload_records()) == (1, 0)
    play.settle()
    assert play.arrived() == content(b"f")
    theirs = play.http.sides[GLOBAL]
    theirs.s3.create_multipart_upload(Bucket=theirs.bucket, Key="somebody's")
    assert play.uploads() == 2
    assert play.sweep() == 0
    play.http.clock.forward(ABANDONED_SECONDS)
    assert play.sweep() == 1
    assert play.uploads() == 1


def test_an_unrecorded_upload_to_the_own_bucket_is_identified_by_the_workers_role(perform: Perform) -> None:
    play = perform("given prefix cn=p/", *PARTS)
    play.pull(WORKER_ROLE, "lost")
    play.pull("somebodys-role", "theirs")
    here = play.http.sides[CN]
    here.s3.create_multipart_upload(Bucket=here.bucket, Key="p/by-a-user")
    here.s3.create_multipart_upload(Bucket=here.bucket, Key="outside")
    play.http.clock.forward(ABANDONED_SECONDS - 60)
    assert play.sweep() == 0
    play.http.clock.forward(120)
    assert play.sweep() == 1
    left = here.s3.list_multipart_uploads(Bucket=here.bucket)["Uploads"]
    assert sorted(upload["Key"] for upload in left) == ["outside", "p/by-a-user", "p/theirs"]


def by_parts(play: Play, kind: str, body: bytes) -> None:
    """Upload an object as a user, with checksums of its parts."""
    side = play.http.sides[CN]
    where = {"Bucket": side.bucket, "Key": "k"}
    upload = side.s3.create_multipart_upload(**where, ChecksumAlgorithm=kind, ChecksumType="COMPOSITE")["UploadId"]
    parts = []
    for number, at in enumerate(range(0, len(body), 5 * MIB), 1):
        part = side.s3.upload_part(
            **where, UploadId=upload, PartNumber=number, Body=body[at : at + 5 * MIB], ChecksumAlgorithm=kind
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    side.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})


@pytest.mark.parametrize("lines", [PARTS, PARTS_BY_SEVERAL_WORKERS], ids=["parts", "parts by several workers"])
@pytest.mark.parametrize("kind", ["CRC32", "SHA256", "of parts CRC32", "of parts SHA256"])
def test_a_byte_flipped_in_transit_never_arrives(perform: Perform, kind: str, lines: tuple[str, ...]) -> None:
    play = perform(*lines)
    source, target = (play.http.sides[name] for name in (CN, GLOBAL))
    algorithm = kind.removeprefix("of parts ")
    if kind.startswith("of"):
        by_parts(play, algorithm, content(b"f"))
    else:
        source.s3.put_object(Bucket=source.bucket, Key="k", Body=content(b"f"), ChecksumAlgorithm=algorithm)
    play.counts["flip"] = 1
    for _ in range(10):
        play.worker(1)
        assert play.arrived() in (None, content(b"f")), "wrong content never arrives"
    play.settle()
    assert play.counts["flip"] == 0
    assert play.arrived() == content(b"f")
    shown = [
        side.s3.get_object(Bucket=side.bucket, Key="k", ChecksumMode="ENABLED")[f"Checksum{algorithm}"]
        for side in (source, target)
    ]
    assert shown[0] == shown[1]
    assert (play.uploads(), play.upload_records()) == (0, 0)


LAYOUTS = {
    "one part": (6 * MIB,),
    "equal odd parts": (5 * MIB + 7, 5 * MIB + 7, 3),
    "growing": (5 * MIB, 6 * MIB, 7 * MIB),
    "shrinking": (8 * MIB, 6 * MIB, 5 * MIB),
    "an empty last part": (5 * MIB, 0),
}


@pytest.mark.parametrize("sizes", LAYOUTS.values(), ids=LAYOUTS)
def test_an_object_in_any_layout_of_parts_arrives_once(perform: Perform, sizes: tuple[int, ...]) -> None:
    play = perform(*PARTS)
    side = play.http.sides[CN]
    where = {"Bucket": side.bucket, "Key": "k"}
    upload = side.s3.create_multipart_upload(**where, Metadata={"w": "large"})["UploadId"]
    bodies = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    parts = []
    for number, body in enumerate(bodies, 1):
        part = side.s3.upload_part(**where, UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    side.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts})
    play.settle()
    assert play.arrived() == b"".join(bodies)
    copied = play.counts["complete_upload"] + play.http.counts["writes"]
    play.http.perform("finders")
    assert play.counts["complete_upload"] + play.http.counts["writes"] == copied
    assert (play.uploads(), play.upload_records()) == (0, 0)
