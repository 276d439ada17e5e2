"""Nothing that an SDK posts is our failure, and nothing bad costs the good beside it."""

import base64
import gzip
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.runtime.intake.anything import VALUES
from tests.runtime.intake.sdk import SDK_CONFIG, SHOW, secret, segment, sensors
from tests.shop import Shop
from tests.town import AUDIENCE, DAY, NOON

SHOP_CONFIG = SDK_CONFIG


# --- good beside bad


def test_good_messages_beside_bad_ones_are_kept(either):
    batch = [
        SHOW,
        3,
        None,
        {"type": "track"},
        {**SHOW, "time": NOON + 2 * DAY},
        {**SHOW, "distinct_id": "d2"},
        {**SHOW, "identities": 7},
        [SHOW],
    ]

    answer = sensors(either, batch)

    assert answer.json()["accepted"] == 2
    assert [reason["index"] for reason in answer.json()["reasons"]] == [1, 2, 3, 4, 6, 7]
    assert (either.total("events"), either.total("quarantine")) == (2, 6)


def test_names_as_long_as_a_request_are_no_trouble(either):
    long = "x" * 5000

    answers = [
        sensors(either, {**SHOW, "properties": {long: 1}}),
        sensors(
            either, {"type": "profile_set", "distinct_id": "d1", "time": NOON, "properties": {long: 1, **{f"p{n}": n for n in range(300)}}}
        ),
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    with either.app.store.database.reading() as tx:
        counted = either.app.store.arrivals.unmapped(tx, 1000)
    assert max(len(row["name"]) for row in counted) == 256
    assert len(counted) == 1 + 200


@pytest.mark.parametrize("time", [946_684_800_000, "2000-01-02 00:00:00", NOON, NOON + DAY])
def test_times_from_2000_to_a_day_ahead_are_taken(shop, time):
    assert sensors(shop, {**SHOW, "time": time}).json() == {"success": True}
    assert shop.total("events") == 1


@pytest.mark.parametrize(
    "time", [-1, 0, 1000, "1970-01-01 00:00:00", 946_684_799_999, NOON + DAY + 1, 2**64 - 1, 1e300, "soon", [NOON], {"a": 1}, True]
)
def test_times_that_cannot_be_are_set_aside(shop, time):
    assert sensors(shop, {**SHOW, "time": time}).status_code == 200
    assert (shop.total("events"), shop.total("quarantine")) == (0, 1)


# --- anything


@pytest.fixture(scope="module")
def tough(tmp_path_factory, migrated_sqlite):
    file = tmp_path_factory.mktemp("tough") / "journeyd.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    opened = Shop(
        file.parent / "shop",
        url=f"sqlite:///{file}",
        audience=AUDIENCE,
        config=SDK_CONFIG,
    )
    yield opened
    opened.settle()  # what was taken can be worked on, too
    opened.close()


PATHS = (
    "/sa",
    "/sa?data=",
    "/sa?project=shop&token=",
    "/debug",
    "/v3/projects/g1/collect?stm=x",
    "/projects/g1/collect/item",
    "/v1/batch",
    "/v1/track",
    "/v1/alias",
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@pytest.mark.parametrize("path", PATHS)
@given(
    body=st.one_of(
        st.binary(max_size=60),
        st.binary(max_size=60).map(lambda b: b"data=" + quote(base64.b64encode(b)).encode()),
        st.binary(max_size=60).map(gzip.compress),
    ),
    form=st.booleans(),
)
def test_any_bytes_are_never_our_fault(tough, path, body, form):
    basic = base64.b64encode(f"{secret(tough, 'device')}:".encode()).decode()

    answer = tough.client.post(path, content=body, headers={"authorization": f"Basic {basic}"})

    assert answer.status_code < 500
    assert answer.status_code == 200 or path.startswith(("/v1/", "/debug"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@pytest.mark.parametrize("path", PATHS)
@given(value=VALUES)
def test_any_json_is_never_our_fault(tough, path, value):
    if path.startswith(("/sa", "/debug")):
        answer = sensors(tough, value, path)
    else:
        answer = segment(tough, {"batch": [value]} if path == "/v1/batch" else value, path)

    assert answer.status_code < 500
    assert answer.status_code == 200 or path.startswith(("/v1/", "/debug"))
