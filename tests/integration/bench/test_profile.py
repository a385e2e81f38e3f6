"""Test the profile's page: layers, shares, and the functions with the highest cost."""

from __future__ import annotations

import cProfile
import json
import re
from pathlib import Path

from bench.harness.servers.tools import ROOT
from bench.profile import LAYERS, REST, TRIED, layer, page, shares, waits


def test_each_function_is_assigned_to_a_layer() -> None:
    assert layer("/x/runtime/aws/http/pool.py", "take") == "HTTP client"
    assert layer("/x/runtime/aws/s3/bucket.py", "put") == "S3, SQS and DynamoDB adapters"
    assert layer("~", "<method 'write' of '_ssl._SSLSocket' objects>") == "TLS"
    assert layer("~", "<method 'split' of 'str' objects>") == REST
    assert waits("<method 'poll' of 'select.epoll' objects>")


def test_every_layer_of_the_runtime_exists() -> None:
    for _, marks in LAYERS:
        for mark in marks:
            if mark.startswith("runtime/") and mark.endswith("/"):
                assert (ROOT / mark).is_dir(), mark


def test_a_page_is_written_from_a_real_profile(tmp_path: Path) -> None:
    profile = cProfile.Profile()
    profile.runcall(lambda: [json.loads(json.dumps({"a": list(range(50))})) for _ in range(200)])
    profile.dump_stats(tmp_path / "profile")
    text = page(tmp_path / "profile", 200)
    assert re.search(r"^\| JSON and XML \| \d+\.\d% \|$", text, re.MULTILINE)
    assert "| `raw_decode` in `json/decoder.py` | 1.0 |" in text


def test_shares_are_of_the_time_that_is_not_waiting() -> None:
    stats = {
        ("~", 0, "<method 'poll' of 'select.epoll' objects>"): (1, 1, 9.0, 9.0, None),
        ("/x/runtime/sync/handler.py", 1, "process"): (1, 1, 3.0, 3.0, None),
        ("~", 0, "<built-in method builtins.len>"): (1, 1, 1.0, 1.0, None),
    }
    assert shares(stats) == {"decision, ledger entry, messages": 0.75, REST: 0.25}


def test_every_page_named_for_an_experiment_exists() -> None:
    assert all((ROOT / "docs" / where).exists() for _, _, where in TRIED)
