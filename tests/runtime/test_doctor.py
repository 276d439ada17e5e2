"""`doctor` and `send-test`: what is wrong is found before anybody is messaged, and said with what to do."""

import json
import re

import pytest
from sqlalchemy import update

from channels.loopback.aliyun import AliyunVendor
from channels.loopback.server import Loopback
from channels.loopback.wechat import Wechat
from channels.message import Accepted, Fault, Rejected, RetryLater, Unknown
from journeys.duration import DAY
from runtime.cli import run
from runtime.clock import SystemClock
from runtime.doctor import examine_channels, examine_store, memory
from runtime.sendtest import send_one, told
from runtime.settings import ConfigError, load_project
from runtime.store.inbox import Quarantined
from runtime.store.tables import enrolments
from tests.town import NOON, PUSH, Town, event, journey_text, somebody

CONFIG = """
[channels.wechat]
adapter = "subscribe"
appid = "wx1"
secret = "env:WX"
base_url = "{wechat}"
[channels.wechat.templates.ticket]
id = "W03"
purpose = "service"
fields = {{title = "{field}"}}
[channels.sms]
adapter = "aliyun"
access_key_id = "LTAI"
access_key_secret = "env:ALI"
sign = "小店"
receipt_secret = "env:WX"
base_url = "{aliyun}"
[channels.sms.templates.pickup]
id = "SMS_1"
purpose = "service"
fields = {{code = "code"}}
[channels.push]
adapter = "recording"
[alarms]
{alarms}
"""


@pytest.fixture
def vendors():
    wechat = Wechat(appid="wx1", secret="wx-secret", templates={"W03": ["thing1"]}, openids={"o-1"})
    aliyun = AliyunVendor(
        access_key_id="LTAI", access_key_secret="ali-secret", sign="小店", templates={"SMS_1": ["code"]}, clock=SystemClock().now
    )
    with Loopback(wechat) as one, Loopback(aliyun) as other:
        yield one, other


@pytest.fixture
def project(tmp_path, vendors, monkeypatch):
    """A project whose secrets are right; `broken` changes what is asked for."""

    def make(*, secret="ali-secret", field="thing1", alarms=""):
        monkeypatch.setenv("WX", "wx-secret")
        monkeypatch.setenv("ALI", secret)
        text = CONFIG.format(wechat=vendors[0].url, aliyun=vendors[1].url, field=field, alarms=alarms)
        (tmp_path / "config.toml").write_text(text, encoding="utf-8")
        return load_project(tmp_path)

    return make


def bad(found):
    return [(thing.where, thing.what) for thing in found if not thing.ok]


def stuck(found):
    return [thing for thing in found if thing.what == "stuck enrolment"]


def test_a_config_that_is_right_has_nothing_against_it_and_nobody_is_messaged(project, vendors):
    found = list(examine_channels(project(), SystemClock()))

    assert bad(found) == []
    assert {"wechat", "sms"} <= {thing.where for thing in found}
    assert [site.vendor.taken for site in vendors] == [[], []]


def test_three_mistakes_are_three_findings_each_with_its_cure(project, capsys):
    made = project(secret="mistyped", field="thing9", alarms='robot = "opps"')

    found = [thing for thing in examine_channels(made, SystemClock()) if not thing.ok]
    code = run(["doctor", "--config", str(made.folder)])
    printed = capsys.readouterr().out

    assert {thing.where for thing in found} == {"wechat", "sms", "alarms"}
    assert all(thing.cure for thing in found)
    assert any("access_key_secret" in thing.cure for thing in found if thing.where == "sms")
    assert any("thing9" in thing.found + thing.cure for thing in found if thing.where == "wechat")
    assert any("opps" in thing.found for thing in found if thing.where == "alarms")
    assert code == 1
    assert printed.count("bad ") >= 3
    assert "mistyped" not in printed, "a secret is never shown"


def test_a_missing_secret_is_one_finding_and_the_other_channels_are_still_tried(project, monkeypatch):
    made = project()
    monkeypatch.delenv("ALI")

    found = list(examine_channels(made, SystemClock()))

    (finding,) = [thing for thing in found if not thing.ok]
    assert (finding.where, finding.what) == ("sms", "configuration")
    assert "channels.sms.access_key_secret" in finding.found
    assert any(thing.where == "wechat" and thing.ok for thing in found)


def test_doctor_speaks_json_too(project, capsys):
    assert run(["doctor", "--json", "--config", str(project().folder)]) == 0

    assert {"where", "what", "ok", "found", "cure"} == set(json.loads(capsys.readouterr().out)[0])


def test_somebody_whom_nothing_will_ever_move_is_found(store, project):
    waiting = journey_text("- {id: rest, delay: 3d}\n- {id: hello, send: " + PUSH + "}", entry="{event: app_opened}")
    made = Town(store, waiting)
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.settle(NOON)
    config = project()
    assert stuck(examine_store(store, made.engine, config, NOON)) == []

    store.database.write(lambda tx: tx.execute(update(enrolments).values(due_at=None)))
    found = stuck(examine_store(store, made.engine, config, NOON))

    assert [(thing.where, thing.what) for thing in found] == [("j", "stuck enrolment")]
    assert "u1 stands at rest" in found[0].found
    assert "journeyd explain u1" in found[0].cure


def test_somebody_who_waits_for_an_event_or_a_grant_is_not_stuck(store, project):
    waits = journey_text("- {id: paid, wait_for: {event: order_paid, timeout: 3d}}", id="waits", entry="{event: app_opened}")
    asks = journey_text("- {id: gift, grant: {benefit: gift, expires: 7d}}", id="asks", entry="{event: app_opened}")
    made = Town(store, waits, asks)
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.think(NOON)

    found = stuck(examine_store(store, made.engine, project(), NOON))

    assert found == []


def test_a_clock_behind_the_records_is_found(store, project):
    made = Town(store, journey_text(f"- {{id: hello, send: {PUSH}}}", entry="{event: app_opened}"))
    made.settle_people(somebody())
    made.post(event("app_opened", NOON))
    made.settle(NOON)

    found = bad(examine_store(store, made.engine, project(), NOON - DAY))

    assert ("clock", "beside the records") in found


def test_what_was_set_aside_and_goes_within_a_week_is_told_before(store, project):
    made, config = Town(store), project()
    for ago, kind in ((200, "enrolment"), (84, "event"), (83, "event"), (1, "request")):
        item = Quarantined("shop", "bad", "{}", "", kind)
        store.database.write(lambda tx, item=item, ago=ago: store.inbox.quarantine(tx, [item], NOON - ago * DAY))

    def told(now):
        return [(t.found, t.cure) for t in examine_store(store, made.engine, config, now) if t.what == "quarantine"]

    cure = "1 of them will be deleted within a week ([intake] keep_quarantine); see `journeyd quarantine`, and retry in time"
    assert told(NOON) == [("3 set aside, the oldest on 2026-09-08 12:00", cure)]
    assert told(NOON - 2 * DAY) == [("3 set aside, the oldest on 2026-09-08 12:00", "")]


def test_on_postgresql_the_memory_for_pages_is_told_beside_what_the_users_weigh(store, project):
    made = Town(store)

    found = [thing for thing in examine_store(store, made.engine, project(), NOON) if thing.what == "memory"]

    if store.database.is_sqlite:
        assert found == []
    else:
        assert re.fullmatch(r"shared_buffers [\d,]+ MB, the users [\d,]+ MB", found[0].found)
        assert (found[0].ok, found[0].cure) == (True, "")


@pytest.mark.parametrize(("users", "advised"), [(128, False), (129, True)])
def test_more_users_than_postgresql_has_memory_for_are_advice_and_no_fault(users, advised):
    found = memory(128 << 20, users << 20)

    assert (found.ok, found.found) == (True, f"shared_buffers 128 MB, the users {users} MB")
    assert ("a quarter of the machine's memory" in found.cure) is advised


def test_one_message_goes_to_one_address(project, vendors):
    outcome = send_one(project(), "sms", "138 0013 8000", "pickup", "", {"code": "0731"}, SystemClock())

    assert isinstance(outcome, Accepted)
    (taken,) = vendors[1].vendor.taken
    assert taken.address == "13800138000"


def test_a_vendors_no_is_shown_as_it_is(project):
    outcome = send_one(project(), "wechat", "o-1", "ticket", "", {"title": "您好"}, SystemClock())

    assert isinstance(outcome, Rejected)
    assert outcome.code in ("43101", "47003")


@pytest.mark.parametrize(
    ("channel", "template", "said"),
    [("smss", None, "did you mean sms"), ("sms", None, "--template"), ("sms", "welcom", "pickup")],
)
def test_a_name_that_config_does_not_have_is_said_with_those_it_has(project, channel, template, said):
    with pytest.raises(ConfigError, match=said):
        send_one(project(), channel, "13800138000", template, "", {}, SystemClock())


@pytest.mark.parametrize("data", [{}, {"cod": "0731"}, {"code": "0731", "site": "东门"}], ids=["none", "misspelt", "one too many"])
def test_the_fields_of_a_template_must_be_given_exactly(project, vendors, data):
    """Else a person would read an invented value."""
    with pytest.raises(ConfigError, match=r"template pickup takes --data\.code"):
        send_one(project(), "sms", "13800138000", "pickup", "", data, SystemClock())

    assert vendors[1].vendor.taken == []


@pytest.mark.parametrize(("outcome", "said"), [
    (RetryLater(5000, "no connection", whole_channel=True), "Not sent: no connection; try again after 5 s"),
    (Fault("unpaid", "", 60_000), "`journeyd doctor` says what to mend"),
    (Unknown("timeout"), "nobody can tell whether it went out (timeout)"),
    (Rejected("43101", "not subscribed"), "Rejected: 43101 not subscribed"),
], ids=lambda value: type(value).__name__)  # fmt: skip
def test_every_outcome_of_a_test_message_is_a_sentence(outcome, said):
    assert said in told(outcome)


def test_a_vendor_that_cannot_be_reached_is_the_networks_fault_and_not_the_templates(project, vendors):
    vendors[1].__exit__(None, None, None)

    found = [thing for thing in examine_channels(project(), SystemClock()) if thing.where == "sms" and not thing.ok]

    assert found
    assert {thing.cure.partition(":")[0] for thing in found} == {"the network"}


@pytest.mark.parametrize(("url", "said"), [
    ("postgresql+psycopg://u:hidden@127.0.0.1:1/x", "does not answer"), ("mysql://u:hidden@x/y", "found a database of mysql"),
    ("nonsense://", "found a database of nonsense"), ("://", "cannot be read"),
])  # fmt: skip
def test_a_database_that_cannot_be_used_is_a_finding_and_no_traceback(project, capsys, url, said):
    code = run(["doctor", "--config", str(project().folder), "--database", url])

    printed = capsys.readouterr()
    assert code == 1
    assert said in printed.out
    assert "hidden" not in printed.out + printed.err


def test_the_command_tells_the_outcome_and_its_exit_code(project, capsys):
    folder = str(project().folder)

    assert run(["send-test", "push", "device-1", "--config", folder]) == 0
    assert "Accepted" in capsys.readouterr().out
    assert run(["send-test", "sms", "010-12345678", "--template", "pickup", "--data.code", "1", "--config", folder, "--json"]) == 1
    assert "no mobile number" in capsys.readouterr().err
