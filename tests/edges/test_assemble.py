"""Every setting of what is written, and how it is asked for, reaches the buckets and the copier."""

from __future__ import annotations

import pytest

from runtime.edges.assemble import LocalEdges, local_edges, local_options, remote_bucket, remote_options
from runtime.edges.options import Options
from runtime.edges.secrets import PeerSecret
from runtime.processes import copier_of
from tests.core.given import settings

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


def test_how_the_own_bucket_is_asked() -> None:
    assert local_options(ALL) == Options(tags=True, requester_pays=True, owner="111122223333")
    assert local_options(settings()) == Options()


def test_what_replicas_get() -> None:
    assert remote_options(ALL) == Options(
        storage_class="STANDARD_IA",
        acl="private",
        encryption="aws:kms",
        kms_key="arn:of:a-key",
        tags=True,
        requester_pays=True,
        owner="444455556666",
    )
    assert remote_options(settings(remote_storage_class="SOURCE")).storage_class == ""
    assert remote_options(settings()) == Options(storage_class="STANDARD", acl="bucket-owner-full-control")


@pytest.fixture
def edges(monkeypatch: pytest.MonkeyPatch) -> LocalEdges:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    return local_edges(ALL)


async def test_the_buckets_are_made_with_them(edges: LocalEdges) -> None:
    theirs = remote_bucket(ALL, PeerSecret("AKIA", "secret"), edges.admission)
    assert edges.bucket._options == edges.whole._options == local_options(ALL)
    assert theirs._options == remote_options(ALL)
    assert edges.bucket.admission is edges.whole.admission is theirs.admission, "one bound for all"


async def test_how_objects_are_carried(edges: LocalEdges) -> None:
    plain = copier_of(settings(), edges)
    assert (plain.include_metadata, plain.keep_class) == (True, False)
    assert (plain.threshold, plain.part_size, plain.giant) == (16 << 20, 8 << 20, 1 << 30)
    odd = copier_of(
        settings(
            include_metadata=False,
            remote_storage_class="SOURCE",
            multipart_threshold=6 << 20,
            part_size=7 << 20,
            giant_threshold=9 << 20,
        ),
        edges,
    )
    assert (odd.include_metadata, odd.keep_class) == (False, True)
    assert (odd.threshold, odd.part_size, odd.giant) == (6 << 20, 7 << 20, 9 << 20)
