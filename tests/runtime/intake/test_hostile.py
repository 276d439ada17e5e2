"""Nothing that is posted is ever our failure: 100,000 hostile requests (a million under `make prove`), and what schemathesis makes of the
OpenAPI document."""

import asyncio
import re
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from runtime.intake.openapi import document
from tests.runtime.intake.hostile import HOSTILE_CONFIG, assault, attacks
from tests.shop import SECRET, signed
from tests.town import SECOND

SHOP_CONFIG = HOSTILE_CONFIG
MB = 1024
OPERATIONS = [result.ok() for result in schemathesis.openapi.from_dict(document()).get_all_operations()]


def resident():
    """MB of this process."""
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    return int(found[1]) / MB


def prove(shop, count, seed):
    asyncio.run(assault(shop, attacks(seed - 1, count // 10)))
    before = resident()

    outcome = asyncio.run(assault(shop, attacks(seed, count)))

    assert outcome.failures == []
    assert sum(outcome.statuses.values()) == count
    assert outcome.statuses[200] > count // 3
    assert resident() - before < 100
    return outcome, before


def test_a_hundred_thousand_hostile_requests_are_never_our_failure(shop):
    prove(shop, 100_000, seed=2)


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_a_million_hostile_requests_are_never_our_failure(shop, capsys):
    outcome, before = prove(shop, 1_000_000, seed=4)

    with capsys.disabled():
        print(f"\n1,000,000 hostile requests: {dict(outcome.statuses)}; resident {before:.0f} MB before, {resident():.0f} MB after")


def test_good_requests_among_the_hostile_ones_are_taken(shop):
    asyncio.run(assault(shop, attacks(6, 500)))

    assert shop.post({"id": "good", "type": "app_opened", "user_id": "good"})["accepted"] == 1


@pytest.mark.parametrize("seed", [22, 35])
def test_what_was_taken_of_hostile_requests_is_worked_off_on_each_database(either, seed):
    outcome = asyncio.run(assault(either, attacks(seed, 4000)))

    assert outcome.failures == []
    either.settle()
    assert either.total("inbox") == 0
    assert [row["reason"] for row in either.quarantined() if row["source"] == "engine"] == []


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_what_fits_the_document_and_what_does_not_is_never_our_failure(shop, operation, mode):
    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case):
        ready = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
        body = ready.body.encode() if isinstance(ready.body, str) else ready.body or b""
        headers = {k: v for k, v in ready.headers.items() if k.lower() != "content-length"}
        headers |= signed(SECRET, "m1", shop.clock.now() // SECOND, body)

        answer = shop.client.request(ready.method, ready.url, content=body, headers=headers)

        assert answer.status_code < 500, (answer.text, body)

    ask()
