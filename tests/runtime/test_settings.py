"""config.toml: every wrong key is said with its place, secrets stand elsewhere, the environment overrides."""

import pytest

from journeys.duration import parse_window
from runtime.intake.sources import sources_of
from runtime.policy import Cap
from runtime.settings import ConfigError, load_project
from tests.town import DAY


@pytest.fixture
def project(tmp_path, monkeypatch):
    import os

    for name in [n for n in os.environ if n.startswith("JOURNEYD_")]:
        monkeypatch.delenv(name)

    def load(text=""):
        (tmp_path / "config.toml").write_text(text, encoding="utf-8")
        return load_project(tmp_path)

    return load


def test_an_empty_file_is_a_project_with_defaults(project, tmp_path):
    found = project()

    assert found.zone.key == "Asia/Shanghai"
    assert found.database_url == f"sqlite:///{tmp_path}/data/journeyd.db"
    assert found.recording_file == tmp_path / "data/outbox.jsonl"
    assert found.rules().caps == ()
    assert (found.keep_events, found.keep_quarantine) == (0, 90 * DAY)


def test_paths_are_relative_to_the_folder_of_the_file(project, tmp_path):
    found = project('[definitions]\npath = "mine"\n[database]\nurl = "sqlite:////var/j.db"\n')

    assert found.definitions == tmp_path / "mine"
    assert found.database_url == "sqlite:////var/j.db"


WRONG = [
    ('tiemzone = "UTC"', ["unknown key tiemzone"]),
    ("[server]\nprt = 1", ["unknown key server.prt"]),
    ("[server]\nport = 99999", ["server.port", "99999"]),
    ('timezone = "Mars/Phobos"', ["timezone", "IANA zone", "Mars/Phobos"]),
    ('[policy]\nquiet_hours = "21-09"', ["policy.quiet_hours", '"08:00-21:30"', "21-09"]),
    ('[policy]\ncaps = [{max = 1, per = "month"}]', ["policy.caps.0.per", "month"]),
    ('[policy]\nholdout = "101%"', ["policy.holdout"]),
    (
        '[intake.sources.backend]\nkind = "sensors"\nserver_side = true',
        ["intake.sources.backend.server_side: only a source of kind segment has it, found kind sensors", "kind webhook"],
    ),
    (
        '[intake.sources.backend]\nkind = "sensors"\nmay_assert = ["order_paid"]',
        ["intake.sources.backend: expected event types that a device may assert, found 'order_paid': order_* is for signed sources only"],
    ),
    (
        '[intake.sources.backend]\nkind = "sensorz"',
        ["intake.sources.backend: expected a kind of source: webhook, sensors, growingio or segment, found 'sensorz'"],
    ),
    ('[intake.sources.shop]\nsecrets = ["abc123"]', ["intake.sources.shop.secrets.0", "env:NAME or file:PATH"]),
    *(
        (f'[intake.sources."{name}"]\nsecrets = ["env:X"]', ["intake.sources", "a name of 1 to 64 characters", name])
        for name in ("s" * 65, "$sms", "engine")
    ),
    ('[intake]\nkeep_quarantine = "3h"', ["intake.keep_quarantine", "one day or more", "3h"]),
    ('[channels.fax]\nadapter = "recording"', ["fax"]),
    ("[channels.sms.templates.x]\npurpose = 'spam'\nid = '1'", ["channels.sms.templates.x.purpose", "spam"]),
    ("[server\n", ["config.toml"]),
]


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_wrong_key_stops_the_start_and_is_said_with_what_was_found(project, text, said):
    with pytest.raises(ConfigError) as raised:
        project(text)

    assert all(part in str(raised.value) for part in said), str(raised.value)
    assert str(raised.value).count("found") <= 1


def test_all_wrong_keys_are_said_at_once(project):
    with pytest.raises(ConfigError) as raised:
        project('wrong = 1\ntimezone = "X"\n')

    assert len(str(raised.value).splitlines()) == 2


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="journeyd init"):
        load_project(tmp_path)


def test_every_key_can_be_overridden_by_the_environment(project, monkeypatch):
    monkeypatch.setenv("JOURNEYD_SERVER__PORT", "9999")
    monkeypatch.setenv("JOURNEYD_TIMEZONE", "Europe/Berlin")

    found = project("[server]\nport = 1\n")

    assert (found.settings.server.port, found.zone.key) == (9999, "Europe/Berlin")


def test_secrets_are_read_from_the_environment_or_a_file(project, monkeypatch, tmp_path):
    monkeypatch.setenv("SHOP_SECRET", "one")
    (tmp_path / "shop").write_text("two\n", encoding="utf-8")

    found = project('[intake.sources.shop]\nsecrets = ["env:SHOP_SECRET", "file:shop"]\nmay_assert = ["order_paid"]\n')

    shop = found.settings.intake.sources["shop"]
    assert found.secrets_of("shop", shop.secrets, "secrets") == ["one", "two"]
    assert "two" not in repr(found.settings)


@pytest.mark.parametrize(("source", "said"), [("env:NOT_SET_ANYWHERE", "NOT_SET_ANYWHERE is not set"), ("file:nowhere", "cannot read")])
def test_a_missing_secret_is_said_with_its_key(project, source, said):
    found = project(f'[intake.sources.shop]\nsecrets = ["{source}"]\n')

    with pytest.raises(ConfigError, match=said) as raised:
        sources_of(found)

    assert "intake.sources.shop.secrets" in str(raised.value)


def test_the_policy_becomes_rules(project):
    found = project("""
    [policy]
    quiet_hours = "21:00-09:00"
    caps = [{channel = "sms", max = 2, per = "7d"}, {topic = "pickup", max = 1, per = "day"}]
    holdout = "2.5%"
    """)

    rules = found.rules()

    assert rules.quiet_hours == parse_window("21:00-09:00")
    assert rules.caps == (Cap(2, 7 * DAY, "sms"), Cap(1, "day", topic="pickup"))
    assert rules.holdout == 250


def test_the_world_is_what_config_declares(project):
    found = project("""
    [channels.sms.templates.hello]
    id = "S1"
    purpose = "service"
    fields = {name = "thing1"}
    [benefits.gift]
    [endpoints.stock]
    answer = {left = "number"}
    [robots.desk]
    """)

    world = found.world()

    assert world.channels["sms"]["hello"].fields == {"name": "thing1"}
    assert world.field_problem is not None
    assert world.field_problem("thing1", "字" * 21) is not None
    assert world.field_problem("thing1", "字" * 20) is None
    assert (world.benefits, world.endpoints, world.robots) == ({"gift"}, {"stock": {"left": "number"}}, {"desk"})


@pytest.mark.parametrize(
    ("config", "locale", "language"), [('language = "zh"', "en_US", "zh"), ("", "zh_CN.UTF-8", "zh"), ("", "C", "en"), ("", "", "en")]
)
def test_the_language_is_configs_else_the_locales(project, monkeypatch, config, locale, language):
    for name in ("LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LC_ALL", locale)

    assert project(config).language() == language


ALIYUN = '[channels.sms]\nadapter = "aliyun"\naccess_key_id = "id"\nsign = "店"\nreceipt_secret = "env:R"\naccess_key_secret = '


@pytest.mark.parametrize(
    "written", ['"hunter2-hunter2"', "7172737475", '["hunter2-hunter2"]', '{value = "hunter2-hunter2"}', '"ENV:hunter2-hunter2"']
)
def test_what_was_written_in_the_place_of_a_secret_is_not_repeated(project, written):
    with pytest.raises(ConfigError) as raised:
        project(ALIYUN + written)

    said = str(raised.value)
    assert "channels.sms.access_key_secret" in said
    assert "hunter2" not in said
    assert "7172737475" not in said


def test_all_wrong_keys_of_a_vendor_are_said_at_once_as_they_stand_in_the_file(project):
    with pytest.raises(ConfigError) as raised:
        project('[channels.sms]\nadapter = "twilio"\nsender = 7\nnonsense = 1\n[channels.sms.templates.x]\nid = 1\n')

    lines = str(raised.value).splitlines()
    keys = ("account_sid", "auth_token", "sender", "nonsense", "templates.x.id", "templates.x.purpose")
    assert len(lines) == len(keys)
    assert all(any(f"channels.sms.{key}" in line for line in lines) for key in keys), lines


@pytest.mark.parametrize("section", ["channels.sms", "benefits.x", "endpoints.x", "robots.x"])
def test_a_table_that_is_none_is_said_with_its_place(project, section):
    top, name = section.split(".")

    with pytest.raises(ConfigError) as raised:
        project(f'[{top}]\n{name} = "recording"\n')

    assert section in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("section", ["benefits", "endpoints", "robots", "channels.push.templates", "intake.sources"])
def test_a_name_that_no_column_takes_is_said_with_its_place(project, section):
    keys = (
        'id = "t"\npurpose = "service"\n'
        if section.endswith("templates")
        else 'secrets = ["file:secret"]\n'
        if section.endswith("sources")
        else ""
    )
    before = "[channels.push]\n" if section.startswith("channels") else ""
    assert project(f"{before}[{section}.{'x' * 64}]\n{keys}")

    with pytest.raises(ConfigError) as raised:
        project(f"{before}[{section}.{'x' * 65}]\n{keys}")

    assert section in str(raised.value)
    assert "expected a name of 1 to 64 characters" in str(raised.value)


def test_a_channel_without_an_adapter_is_recorded(project):
    found = project("[channels.push]\n[benefits.gift]\n[endpoints.stock]\n[robots.desk]\n").settings

    lanes = (found.channels.push, found.benefits["gift"], found.endpoints["stock"], found.robots["desk"])
    assert [lane.adapter for lane in lanes] == ["recording"] * 4


def test_a_wechat_that_is_real_counts_subscriptions_and_a_recorded_one_does_not(project):
    template = '[channels.wechat.templates.news]\nid = "W1"\npurpose = "marketing"\n'

    real = project(f'[channels.wechat]\nadapter = "subscribe"\nappid = "wx1"\nsecret = "env:S"\n{template}').rules()
    recorded = project(template).rules()

    assert (real.counts_credits, dict(real.template_ids)) == (True, {"news": "W1"})
    assert not recorded.counts_credits
