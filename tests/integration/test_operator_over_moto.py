"""Test the operator's commands with the real AWS adapters against a moto server; one account serves both sides."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dualsync.runtime.errors import FatalError, UnavailableError
from dualsync.runtime.messages import sync_request_codec
from dualsync.runtime.messages.sync_request import Cause, SyncRequest
from dualsync.runtime.model.records import CONFLICT, HELD_DELETION, Record
from dualsync.runtime.operations.aws import dead_letter_queue, store
from dualsync.runtime.operations.aws.history import line_pattern
from dualsync.runtime.operations.aws.open import open_context
from dualsync.runtime.operations.stacks import PairLocation, PairNotFoundError, find_pair, pair_document
from dualsync.runtime.settings import SideName
from tests.support.moto_server import Server, free_port
from tests.support.operator_place import ACCOUNT, DeployedPair

CN, GLOBAL = SideName.CN, SideName.GLOBAL


@pytest.fixture
def place(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeployedPair:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(dead_letter_queue, "WAIT_SECONDS", 0)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    return DeployedPair(server, tmp_path)


def test_status_of_a_pair_without_workers(place: DeployedPair) -> None:
    place.server.client("sqs").send_message(QueueUrl=place.queues[CN], MessageBody="{}")
    place.put_dead_letter(CN, "{}", "archived: restore it first")
    place.record(GLOBAL, Record(HELD_DELETION, "held", 1, data={"count": 7, "reason": "too many"}))
    answer = place.call("status", "--json")
    assert answer.code == 3
    cn, global_ = answer.data["directions"]
    assert (cn["backlog"]["visible"], cn["dead"]["visible"]) == (1, 1)
    assert cn["dead_reasons"] == {"archived: restore it first": 1}
    assert cn["state"] == "NO WORKER"
    assert cn["group"] is None
    assert cn["promise"]["user_id"] == cn["expected_guard"]
    assert len(cn["keys"]) == 1
    assert global_["held"]["data"]["count"] == 7
    assert "hush" not in answer.out
    assert len(place.call("dlq", "list", "--json").data["letters"]) == 1


def test_verify_reads_and_compares_all_objects(place: DeployedPair, tmp_path: Path) -> None:
    for side in SideName:
        for number in range(7):
            place.put(side, f"a b/ü+{number}", Metadata={"a": "b"}, ContentType="text/plain")
    assert place.call("verify", "--metadata", "--tags", "--content", "all").code == 0
    place.put(CN, "a b/ü+3", b"other")
    place.put(GLOBAL, "a b/ü+4", Metadata={"a": "c"}, ContentType="text/plain")
    place.s3.put_object_tagging(
        Bucket=place.names[CN], Key="data/a b/ü+5", Tagging={"TagSet": [{"Key": "colour", "Value": "red"}]}
    )
    place.s3.delete_object(Bucket=place.names[CN], Key="data/a b/ü+6")
    answer = place.call("verify", "--metadata", "--tags", "--grace", "0", "--out", str(tmp_path / "out"), "--json")
    assert answer.code == 3
    assert {d["key"]: d["kind"] for d in answer.data["named"]} == {
        "a b/ü+3": "other content",
        "a b/ü+4": "other metadata",
        "a b/ü+5": "other tags",
        "a b/ü+6": "only at global",
    }
    assert len(answer.data["files"]) == 4


def test_explain_reads_logs_and_versions(place: DeployedPair) -> None:
    place.put(CN, 'odd "key"', b"1")
    place.put(CN, 'odd "key"', b"2")
    answer = place.call("explain", 'odd "key"', "--json")
    assert answer.code == 3
    cn = answer.data["sides"]["cn"]
    assert len(cn["versions"]) == 2
    assert cn["versions"][0]["latest"] is True
    assert [line["outcome"] for line in cn["decisions"]] == ["copied"]
    assert "no worker of cn is alive" in answer.data["verdict"]


def test_dead_letters_are_sent_again(place: DeployedPair) -> None:
    place.put_dead_letter(GLOBAL, sync_request_codec.encode(SyncRequest("k", Cause.CREATED)), "contended")
    place.put_dead_letter(GLOBAL, "poison", "")
    answer = place.call("dlq", "redrive", "global", "--all", "--yes", "--json")
    assert answer.code == 3
    assert answer.data["global->cn"] == {"done": 1, "unreadable": 1, "left": 0}
    (body,) = place.received(GLOBAL)
    assert json.loads(json.loads(body)["redrive"])["dualsync"]["key"] == "k"
    (left,) = place.call("dlq", "list", "--json").data["letters"]
    assert left["readable"] is False
    assert place.call("dlq", "drop", "--id", left["id"], "--yes", "--json").data["global->cn"]["done"] == 1
    assert place.call("dlq", "list").code == 0


def test_operators_orders_are_stored_with_an_audit_record(place: DeployedPair) -> None:
    assert place.call("pause", "cn", "--reason", "why", "--yes").code == 0
    assert place.call("limit", "cn", "--bytes", "5M", "--yes").code == 0
    data = place.call("status", "--json").data["directions"][0]
    assert data["state"] == "PAUSED"
    assert data["orders"]["bytes_per_second"] == 5_000_000
    acts = place.call("audit", "--json").data["acts"]
    assert [act["command"] for act in acts] == ["pause", "limit"]
    assert acts[0]["who"].startswith("arn:")


def test_undo_of_a_conflict_writes_the_losing_version_again(place: DeployedPair) -> None:
    etag = place.put(CN, "k", b"cn's", Metadata={"a": "b", "dualsync-origin": "x"}, ContentType="text/x")
    seen = place.s3.head_object(Bucket=place.names[CN], Key="data/k")
    loser = f"cn@{int(seen['LastModified'].timestamp())}:{etag}"
    place.put(CN, "k", b"global's")
    data = {"winner": "global@1:e", "loser": loser, "policy": "newest", "kept": False}
    place.record(CN, Record(CONFLICT, "h-global@1:e-x", 5, "k", data))
    assert place.call("conflicts", "undo", "k", "--yes").code == 0
    now = place.s3.get_object(Bucket=place.names[CN], Key="data/k")
    assert now["Body"].read() == b"cn's"
    assert now["ContentType"] == "text/x"
    assert now["Metadata"] == {"a": "b"}
    assert place.call("conflicts", "list").code == 0


def test_a_rejected_deletion_is_written_again_without_the_stamp(place: DeployedPair) -> None:
    """The ledger has the version of both sides, and cn's object is missing."""
    from dualsync.runtime.model.ledger_entry import CopyState, LedgerEntry, SyncedVersion
    from dualsync.runtime.model.origin_version import OriginVersion

    etag = place.put(GLOBAL, "k", Metadata={"dualsync-origin": "1;p;x"})
    at = int(place.s3.head_object(Bucket=place.names[GLOBAL], Key="data/k")["LastModified"].timestamp())
    entry = LedgerEntry(
        "k", 1, SyncedVersion(OriginVersion(CN, at, etag), CopyState(etag, at), CopyState(etag, None)), updated=at
    )

    async def record() -> None:
        context = await open_context(find_pair(PairLocation(file=place.file)))
        await context.sides[CN].ledger.put(entry, 0)

    asyncio.run(record())
    (pending,) = place.call("deletions", "list", "--live", "--json").data["pending"]
    assert (pending["key"], pending["gone_at"]) == ("k", "cn")
    assert place.call("deletions", "reject", "--yes", "--json").data == {"kept": 1, "changed": 0, "failed": {}}
    assert place.s3.head_object(Bucket=place.names[GLOBAL], Key="data/k")["Metadata"] == {}
    assert place.call("deletions", "list", "--live", "--json").data["pending"] == []


@pytest.mark.parametrize("page", [2, 3, 1000])
def test_versions_below_delete_markers_are_restored(
    place: DeployedPair, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    """Versions of a key continue over pages of the listing. Keys in use, or without versions, are left out."""
    monkeypatch.setattr(store, "VERSIONS_AT_ONCE", page)
    for number in range(5):
        for side in SideName:
            place.put(side, f"ü {number}", b"old")
            place.put(side, f"ü {number}", b"newest %d" % number, Metadata={"a": "b", "dualsync-origin": "x"})
    for side in SideName:
        for number in range(4):
            place.s3.delete_object(Bucket=place.names[side], Key=f"data/ü {number}")
        place.s3.delete_object(Bucket=place.names[side], Key="data/never there")
    place.put(GLOBAL, "ü 3", b"written again")
    answer = place.call("deletions", "restore", "--since", "1h", "--yes", "--json")
    assert answer.code == 0, answer.err
    assert answer.data == {"restored": 3, "changed": 0, "failed": {}}
    for number in range(3):
        back = place.s3.get_object(Bucket=place.names[CN], Key=f"data/ü {number}")
        assert (back["Body"].read(), back["Metadata"]) == (b"newest %d" % number, {"a": "b"})
    listed = place.s3.list_objects_v2(Bucket=place.names[CN])["Contents"]
    assert [item["Key"] for item in listed] == ["data/ü 0", "data/ü 1", "data/ü 2", "data/ü 4"]


def test_a_failed_smoke_test_leaves_nothing(place: DeployedPair) -> None:
    answer = place.call("smoke", "cn", "--timeout", "1", "--json")
    assert answer.code == 3
    assert answer.data["fine"] is False
    assert place.s3.list_objects_v2(Bucket=place.names[CN]).get("Contents", []) == []


def test_the_wrong_account_is_refused_before_anything_is_read(place: DeployedPair) -> None:
    document = json.loads(place.file.read_text())
    document["cn"]["accountId"] = "999999999999"
    place.file.write_text(json.dumps(document))
    words = f"side cn is in account 999999999999, but the shell's credential is of account {ACCOUNT}"
    answer = place.call("pause", "global", "--yes")
    assert answer.code == 2
    assert words in answer.err
    status = place.call("status", "--json")
    assert status.code == 3
    assert [d["name"] for d in status.data["directions"]] == ["global->cn"]
    assert words in status.data["unreachable"]["cn"]
    document["cn"]["accountId"] = 999999999999
    place.file.write_text(json.dumps(document))
    assert words in place.call("pause", "global", "--yes").err
    del document["cn"]["accountId"]
    document["cn"]["environment"]["DUALSYNC_LOCAL_ACCOUNT"] = "999999999999"
    place.file.write_text(json.dumps(document))
    assert words in place.call("pause", "global", "--yes").err


def test_missing_credentials_are_reported_with_the_remedy(place: DeployedPair, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    answer = place.call("status")
    assert answer.code == 2
    assert "side cn: the shell's credential was not found: sign in (`aws sso login`" in answer.err
    assert "--profile-" in answer.err


def test_an_unknown_profile_is_refused(place: DeployedPair) -> None:
    answer = place.call("--profile-cn", "unknown", "drain")
    assert answer.code == 2
    assert "side cn: profile 'unknown' is not in your AWS config: give --profile-cn NAME" in answer.err
    assert place.call("--profile-cn", "unknown", "status").code == 3


def test_unusable_aws_settings_are_one_line(
    place: DeployedPair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """botocore raises many classes for them, its own and Python's."""
    config = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    config.write_text("garbage [")
    answer = place.call("drain")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "your AWS config can't be read: Unable to parse config file" in answer.err
    for process, words in (
        ("echo hello", "JSONDecodeError"),
        ("echo []", "AttributeError"),
        ('"unbalanced', "No closing quotation"),
        ("/nonexistent/x", "No such file"),
    ):
        config.write_text(f"[profile odd]\ncredential_process = {process}\n")
        answer = place.call("--profile-cn", "odd", "--profile-global", "odd", "drain")
        assert (answer.code, answer.err.count("\n")) == (2, 1)
        assert "side cn: profile 'odd' gives no credentials" in answer.err
        assert words in answer.err
    monkeypatch.setenv("AWS_PROFILE", "nosuch")
    assert "profile 'nosuch' of AWS_PROFILE is not in your AWS config" in place.call("drain").err


def test_session_token_is_in_no_error(place: DeployedPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "hush\r")
    answer = place.call("drain")
    assert answer.code == 2
    assert "the shell's credential holds a line break" in answer.err
    assert "hush" not in answer.err


@pytest.mark.parametrize("url", ["foo", "http://[::1", "http://127.0.0.1:99999", "ftp://user:hush@host"])
def test_invalid_endpoint_is_refused(place: DeployedPair, url: str) -> None:
    document = json.loads(place.file.read_text())
    document["cn"]["environment"]["AWS_ENDPOINT_URL"] = url
    place.file.write_text(json.dumps(document))
    answer = place.call("drain")
    assert answer.code == 2
    assert "is no address of sts; correct it where the pair file" in answer.err
    assert "hush" not in answer.err


def test_side_that_does_not_answer_is_a_failure(place: DeployedPair) -> None:
    document = json.loads(place.file.read_text())
    for side in SideName:
        document[str(side)]["environment"]["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{free_port()}"
        place.file.write_text(json.dumps(document))
        answer = place.call("drain")
        assert answer.code == 1
        assert "side cn cannot be reached with the shell's credential" in answer.err
    assert "side global cannot be reached with the shell's credential" in answer.err


def test_the_dedicated_user_is_refused_as_operator(place: DeployedPair, monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(place.file.read_text())
    identity = place.server.client("sts").get_caller_identity()["UserId"]
    document["cn"]["environment"]["DUALSYNC_OWN_USER_IDS"] = identity
    place.file.write_text(json.dumps(document))
    answer = place.call("drain")
    assert answer.code == 2
    assert "is the dedicated user of cn" in answer.err


def test_the_stacks_are_saved_as_a_pair_file(place: DeployedPair, tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    assert place.call("stacks", "--save", str(saved)).code == 0
    assert find_pair(PairLocation(file=saved)) == find_pair(PairLocation(file=place.file))
    assert (
        pair_document(find_pair(PairLocation(file=saved)))["cn"]["environment"]["AWS_ENDPOINT_URL"] == place.server.url
    )
    assert place.names[CN] in place.call("stacks").out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense", "make it with"),
        ("[]", "not a JSON object"),
        ("{}", "neither cn nor global is in it"),
        ('{"cn": {"bucket": "b"}}', "has no output `environment`"),
    ],
)
def test_an_invalid_pair_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "pair.json"
    file.write_text(text)
    with pytest.raises(PairNotFoundError, match=words):
        find_pair(PairLocation(file=file))


def test_swapped_sides_are_refused(place: DeployedPair) -> None:
    document = json.loads(place.file.read_text())
    document["cn"], document["global"] = document["global"], document["cn"]
    place.file.write_text(json.dumps(document))
    with pytest.raises(FatalError, match="the entry cn describes side global: swap the two stacks"):
        find_pair(PairLocation(file=place.file))


def test_special_characters_of_a_key_are_replaced_in_a_filter_pattern() -> None:
    assert line_pattern('a"b\\c\n*') == '{ $.key = "a*b*c**" }'


def copied_attributes(place: DeployedPair, side: SideName, key: str) -> dict[str, Any]:
    """Return the attributes that the product copies besides the content, as boto3 shows them."""
    head = place.s3.head_object(Bucket=place.names[side], Key=f"data/{key}")
    names = ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ExpiresString")
    found = {name: head[name] for name in (*names, "WebsiteRedirectLocation", "StorageClass") if name in head}
    tags = place.s3.get_object_tagging(Bucket=place.names[side], Key=f"data/{key}")["TagSet"]
    return found | {"Metadata": head["Metadata"], "tags": tags}


ATTRIBUTES: dict[str, Any] = {
    "ContentType": "text/x-odd; charset=utf-8",
    "CacheControl": "max-age=60",
    "ContentDisposition": 'attachment; filename="a b.txt"',
    "ContentEncoding": "gzip",
    "ContentLanguage": "de",
    "Expires": "Wed, 21 Oct 2026 07:28:00 GMT",
    "WebsiteRedirectLocation": "/elsewhere",
    "StorageClass": "STANDARD_IA",
    "Tagging": "team=blue&cost=1",
    "Metadata": {f"entry-{number}": "x" for number in range(150)},
}


@pytest.mark.parametrize("parts", [False, True], ids=["whole", "in parts"])
def test_a_restore_keeps_all_attributes_that_the_product_copies(
    place: DeployedPair, monkeypatch: pytest.MonkeyPatch, parts: bool
) -> None:
    if parts:
        document = json.loads(place.file.read_text())
        for side in SideName:
            document[str(side)]["environment"]["DUALSYNC_INCLUDE_TAGS"] = "true"
        place.file.write_text(json.dumps(document))
        monkeypatch.setattr(store, "COPY_LIMIT", 0)
    place.put(CN, "k &=+ü.txt", **ATTRIBUTES)
    before = copied_attributes(place, CN, "k &=+ü.txt")
    assert before["ExpiresString"] == ATTRIBUTES["Expires"]
    place.s3.delete_object(Bucket=place.names[CN], Key="data/k &=+ü.txt")
    answer = place.call("deletions", "restore", "--since", "1h", "--yes", "--json")
    assert answer.data == {"restored": 1, "changed": 0, "failed": {}}
    assert copied_attributes(place, CN, "k &=+ü.txt") == before


def test_a_failed_object_does_not_stop_the_others(place: DeployedPair, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("a", "bad", "c"):
        place.put(CN, key)
        place.s3.delete_object(Bucket=place.names[CN], Key=f"data/{key}")
    copy = store.CopyingBucket.copy

    async def failing(self: Any, source: str, *more: Any) -> str:
        if source == "bad":
            raise UnavailableError("s3 CopyObject bad: the connection was closed")
        return await copy(self, source, *more)

    monkeypatch.setattr(store.CopyingBucket, "copy", failing)
    answer = place.call("deletions", "restore", "--since", "1h", "--yes")
    assert answer.code == 3
    assert "2 objects were written again" in answer.out
    assert "failed bad: s3 CopyObject bad: the connection was closed" in answer.out
    assert "run the same command again" in answer.out


def test_a_secret_pasted_by_an_operator_is_read(place: DeployedPair) -> None:
    key_id = place.users[GLOBAL][1]
    name = json.loads(place.file.read_text())["cn"]["environment"]["DUALSYNC_PEER_SECRET"]
    text = "\ufeff" + json.dumps({"accessKeyId": key_id, "secretAccessKey": "hush"})
    place.server.client("secretsmanager").put_secret_value(SecretId=name, SecretString=text)
    found = place.call("status", "--json").data["problems"]
    (problem,) = [p for p in found if "secret" in p["what"]]
    assert (
        "access_key_id and secret_access_key are missing or no text; it has 'accessKeyId', 'secretAccessKey' instead"
        in (problem["what"])
    )
    assert "`pulumi up --refresh` of stack global" in problem["remedy"]
    assert "hush" not in json.dumps(found)
