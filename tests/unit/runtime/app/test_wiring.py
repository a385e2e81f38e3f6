"""Test the wiring: all settings of reads and writes reach the buckets and the copier."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualsync.runtime.app.finder import build_sweep
from dualsync.runtime.app.wiring import (
    LocalServices,
    PeerCredential,
    build_copier,
    build_local_services,
    local_options,
    remote_bucket,
    remote_options,
)
from dualsync.runtime.aws.credentials import Credential, FixedCredentials
from dualsync.runtime.aws.s3.options import Options
from dualsync.runtime.aws.secrets_manager import PeerSecret
from tests.support.builders import Lines, settings
from tests.support.scripted_server import answer, scripted

ALL = settings(
    local_account="111122223333",
    remote_account="444455556666",
    remote_storage_class="STANDARD_IA",
    remote_acl="private",
    remote_encryption="aws:kms",
    remote_kms_key="arn:of:a-key",
    include_tags=True,
    requester_pays=True,
)


def test_local_bucket_options_follow_the_settings() -> None:
    assert local_options(ALL) == Options(tags=True, requester_pays=True, owner="111122223333", restores=True)
    assert local_options(settings()) == Options(restores=True)


def test_remote_bucket_options_follow_the_settings() -> None:
    assert remote_options(ALL) == Options(
        storage_class="STANDARD_IA",
        acl="private",
        encryption="aws:kms",
        kms_key="arn:of:a-key",
        tags=True,
        requester_pays=True,
        owner="444455556666",
        restores=True,
    )
    assert remote_options(settings(remote_storage_class="SOURCE")).storage_class == ""
    assert remote_options(settings()) == Options(
        storage_class="STANDARD", acl="bucket-owner-full-control", restores=True
    )


def test_restore_status_is_requested_from_s3_only() -> None:
    elsewhere = settings(local_endpoint="http://127.0.0.1:1", remote_endpoint="http://127.0.0.1:1")
    assert not local_options(elsewhere).restores
    assert not remote_options(elsewhere).restores


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> LocalServices:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    return build_local_services(ALL)


async def test_buckets_are_made_with_these_options(services: LocalServices) -> None:
    theirs = remote_bucket(ALL, FixedCredentials(Credential("AKIA", "secret")), services.admission)
    assert services.bucket._options == services.whole_bucket._options == local_options(ALL)
    assert theirs._options == remote_options(ALL)
    assert services.bucket.admission is services.whole_bucket.admission is theirs.admission, (
        "one memory bound for all buckets"
    )


async def test_copier_follows_the_settings(services: LocalServices) -> None:
    plain = build_copier(settings(), services)
    assert (plain.include_metadata, plain.keep_class) == (True, False)
    assert (plain.threshold, plain.part_size, plain.giant) == (16 << 20, 8 << 20, 1 << 30)
    odd = build_copier(
        settings(
            include_metadata=False,
            remote_storage_class="SOURCE",
            multipart_threshold=6 << 20,
            part_size=7 << 20,
            giant_threshold=9 << 20,
        ),
        services,
    )
    assert (odd.include_metadata, odd.keep_class) == (False, True)
    assert (odd.threshold, odd.part_size, odd.giant) == (6 << 20, 7 << 20, 9 << 20)


class Secrets:
    """A secrets reader that returns one peer secret."""

    async def read(self) -> PeerSecret:
        return PeerSecret("AKIA", "secret", "AIDAPEER")


async def test_sweep_recognises_its_initiators_with_one_sts_request(services: LocalServices) -> None:
    arn = "arn:aws:iam::444455556666:user/p-user"
    body = f"<R><Arn>{arn}</Arn><UserId>AIDAPEER</UserId></R>".encode()
    async with scripted(answer(200, body)) as script:
        s = replace(ALL, remote_sts_endpoint=script.url, worker_role="p-cn-worker")
        credential = PeerCredential(s, replace(services, secrets=Secrets()))  # type: ignore[arg-type]
        assert await credential.expected_user_id() == await credential.actual_user_id() == "AIDAPEER"
        sweep = build_sweep(s, services, credential, Lines())
        assert len(script.requests) == 1
    assert (sweep.initiator, sweep.local, sweep.remote) == (arn, services.bucket, credential.bucket)
    assert sweep.by_worker("arn:aws:sts::111122223333:assumed-role/p-cn-worker/i-0123456789abcdef0")
    assert not sweep.by_worker("arn:aws:sts::444455556666:assumed-role/p-cn-worker/i-0123456789abcdef0")
