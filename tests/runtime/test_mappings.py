"""A mapping in config.toml that leads to a name which no rule sees is told by `check`, and only such a one."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from journeys.audience import Audience, compile_audience
from journeys.codes import config
from journeys.loader import load_audience_text
from runtime.intake import segment
from runtime.intake.items import Reader
from runtime.intake.sources import DEFAULTS, naming_of
from runtime.mappings import is_made, mappings_found
from runtime.newproject import DEFINITIONS
from runtime.source_settings import Source
from tests.town import NOON, ZONE, audience

APP = """\
[intake.sources.app]
kind = "sensors"
may_assert = ["app_opened", "group_*"]
"""
SERVER = """\
[intake.sources.server]
kind = "segment"
write_keys = ["env:K"]
server_side = true
"""
WEBHOOK = '[intake.sources.shop]\nsecrets = ["env:S"]\ntraits = {}\n[intake.sources.shop.events]\nOpen = "app_opened"\nClose = "x"\n'
WRONG = {
    'events = {Open = "app_opned"}':
        "4:11: J142 {}.events.Open: audience.yaml does not declare the event “app_opned”, did you mean app_opened?",
    'properties = {"Start.g" = "groupid"}\nevents = {Start = "group_opened"}':
        '4:15: J143 {}.properties."Start.g": the event group_opened has no field “groupid”, did you mean group_id?',
    'properties."GroupOpened.g" = "colour"':
        '4:12: J143 {}.properties."GroupOpened.g": the event group_opened has no field “colour”; there are group_id, cutoff_at',
    'properties."Strat.g" = "group_id"':
        '4:12: J142 {}.properties."Strat.g": audience.yaml does not declare the event “strat”; there are',
    'properties."Shwo.g" = "group_id"\nevents.Show = "group_opened"':
        '4:12: J142 {}.properties."Shwo.g": audience.yaml does not declare the event “shwo”, did you mean Show?',
    'properties."$pageview.t" = "title"':
        '4:12: J142 {}.properties."$pageview.t": audience.yaml does not declare the event “page_viewed”',
    'properties = {sum = "amount"}':
        "4:15: J144 {}.properties.sum: no event that source app may bring has a field “amount”; there are",
    'traits = {"城市" = "citty"}':
        '4:11: J145 {}.traits."城市": audience.yaml does not declare the trait “citty”, did you mean city?',
    'traits = {n = "orders_count"}':
        "4:11: J146 {}.traits.n: the trait “orders_count” is made of events or of other traits, and no source may set it",
    'events = {Pay = "order_paid"}':
        "4:11: J147 {}.events.Pay: the event “order_paid” is believed of signed sources only, and source app is not one",
    'properties."OrderPaid.sum" = "amount"':
        '4:12: J147 {}.properties."OrderPaid.sum": the event “order_paid” is believed of signed sources only, and source app is not one',
    'properties."Group.Opened.g" = "colour"':
        '4:12: J143 {}.properties."Group.Opened.g": the event group_opened has no field “colour”; there are group_id, cutoff_at',
    'events = {Out = "account_closed"}':
        "4:11: J148 {}.events.Out: may_assert of source app does not allow the event “account_closed”",
    'events = {Stage = "stage_changed"}':
        "4:11: J149 {}.events.Stage: the event “stage_changed” is the system's own, and no source may bring it",
    'events = {Mine = "$mine"}':
        "4:11: J149 {}.events.Mine: the event “$mine” is the system's own, and no source may bring it",
}  # fmt: skip


def found(text, known=None):
    sources = tomllib.loads(text)["intake"]["sources"]
    sections = {name: TypeAdapter(Source).validate_python(section) for name, section in sources.items()}
    return mappings_found(sections, known or audience(), "config.toml", text)


def said(text, language="en"):
    return [finding.line(language).removeprefix("config.toml:") for finding in found(text)]


@pytest.mark.parametrize("mapping", WRONG)
def test_a_mapping_that_no_rule_sees_is_told_with_its_place_and_what_was_likely_meant(mapping):
    [line] = said(APP + mapping)

    assert line.startswith(WRONG[mapping].format("intake.sources.app"))


@pytest.mark.parametrize(
    "mapping",
    [
        'events = {Open = "app_opened", Start = "group_opened"}\nproperties = {"Start.g" = "group_id", end = "cutoff_at"}\ntraits = {"城市" = "city"}',
        'properties."Start.by.hand.g" = "group_id"\nevents = {"Start.by.hand" = "group_opened"}',  # dots of the names themselves
        'properties."GroupOpened.g" = "group_id"',  # in snake_case it is ours
        "events = {}",
        "",
    ],
)
def test_a_mapping_that_rules_see_is_no_finding(mapping):
    assert said(APP + mapping) == []


@pytest.mark.parametrize(("ours", "codes"), [("order_paid", ["J147"]), ("lottery_drawn", ["J142", "J148"])])
def test_a_property_of_an_event_whose_own_mapping_is_wrong_is_not_told_beside_it(ours, codes):
    mapping = f'events = {{"Pay.now" = "{ours}"}}\nproperties = {{"Pay.now.sum" = "amont"}}'

    assert [line.split()[1] for line in said(APP + mapping)] == codes


def test_an_event_that_has_to_be_declared_and_allowed_is_told_both_at_once():
    lines = said(APP + 'events = {Draw = "lottery_drawn"}')

    assert [line.split()[1] for line in lines] == ["J142", "J148"]


def test_names_that_the_source_may_bring_are_proposed():
    [first, _] = said(APP + 'events = {Draw = "lottery_drawn"}')

    assert first.endswith("; there are app_opened, group_ended, group_opened")


def test_where_a_source_leads_by_its_own_defaults_is_no_finding():
    device = SERVER.replace("server_side = true", "")

    assert naming_of(TypeAdapter(Source).validate_python({"kind": "sensors"})).event("$pageview") not in audience().events
    assert said(APP + device) == []


def test_a_webhook_posts_our_names_so_its_mapping_does_nothing():
    assert said(WEBHOOK) == [
        "4:22: J150 intake.sources.shop.events: source shop is a webhook, whose names are taken as they stand: this does nothing"
    ]


def test_of_several_sources_each_is_looked_at_by_what_it_may_bring():
    pays = 'events = {Pay = "order_paid"}\n'

    assert [line.partition(":")[0] for line in said(APP + pays + SERVER + pays)] == ["4"]


def test_what_segment_calls_a_contact_is_no_trait():
    assert said(SERVER + 'traits = {mobile = "phone", mail = "email"}') == []
    assert [line.split()[1] for line in said(APP + 'traits = {mobile = "phone"}')] == ["J145"]


def test_what_the_environment_says_is_told_at_the_place_around_it():
    section = TypeAdapter(Source).validate_python({"kind": "sensors", "events": {"Open": "nope"}, "may_assert": ["nope"]})

    [here] = mappings_found({"app": section}, audience(), "c.toml", APP)
    [nowhere] = mappings_found({"app": section}, audience(), "c.toml", "")

    assert (here.place.line, here.place.column, nowhere.place.line) == (1, 17, 1)
    assert here.text("en").startswith("intake.sources.app.events.Open: ")


def test_where_the_audience_is_wrong_only_that_is_told():
    model, source = load_audience_text("events: [x]\n")
    unread = compile_audience(model, source)
    model, source = load_audience_text("traits:\n  city: {type: text, from: profile, count: x}\n")
    wrong = compile_audience(model, source)

    assert source.findings
    assert found(APP + 'events = {Open = "nope"}', unread) == []
    assert found(APP + 'traits = {"城市" = "city"}', wrong) == []


@pytest.mark.parametrize("code", sorted(config.CODES))
def test_every_code_has_a_mapping_that_it_is_told_of_in_both_languages(code):
    every = [f for mapping in (*(APP + mapping for mapping in WRONG), WEBHOOK) for f in found(mapping)]

    told = next(finding for finding in every if finding.code == code)

    assert told.severity == "warning"
    assert told.params["key"] in told.text("zh") != told.text("en")


def test_both_languages_name_the_key_and_what_was_found():
    [line] = said(APP + 'events = {Open = "app_opned"}', "zh")

    assert line == "4:11: J142 intake.sources.app.events.Open：audience.yaml 没有声明事件“app_opned”，是不是 app_opened？"


# --- what check says is what intake does

EVENTS = ["Order Completed", "Product Viewed", "Start", "app_opened", "a.b"]
TYPES = [
    "order_paid",
    "app_opened",
    "group_opened",
    "account_closed",
    "page_x",
    "group_x",
    "stage_changed",
    "message_reply",
    "benefit_used",
    "$x",
]
NAMES = ["g", "amount", "a.b", "group_id", "$t"]
FIELDS = ["group_id", "amount", "cutoff_at", "nope", "benefit", "time", "user_id"]
TRAITS = ["city", "orders_count", "nope", "points", "id"]


@st.composite
def sections(draw):
    event, name = draw(st.sampled_from(EVENTS)), draw(st.sampled_from(NAMES))
    mapped = draw(st.one_of(st.none(), st.sampled_from(TYPES)))
    field, of_one = draw(st.sampled_from(FIELDS)), draw(st.booleans())
    allowed = draw(st.lists(st.sampled_from(["app_*", "group_*", "page_x", "account_closed", "stage_changed", "message_*"]), max_size=3))
    trusted = draw(st.booleans())
    section = {
        "kind": "segment", "write_keys": ["env:K"], "server_side": trusted, "events": {event: mapped} if mapped else {},
        "properties": {f"{event}.{name}" if of_one else name: field}, "traits": {"t": draw(st.sampled_from(TRAITS))},
        "may_assert": ["*"] if trusted and draw(st.booleans()) else [*allowed, "user_record"] if trusted else allowed,
    }  # fmt: skip
    return TypeAdapter(Source).validate_python(section), event, name, of_one


def taken(section, known, message):
    """What intake makes of a message, with our names for it; nothing of what is set aside."""
    signed = section.server_side
    reader = Reader("s", section.may_assert, known, ZONE, NOON, "r", signed, frozenset(section.traits.values()))
    message = {**message, "userId": "u1", "messageId": "m1"}
    return reader.messages([message], lambda m: segment.translate(m, naming_of(section), None, ZONE, NOON), "segment")


def is_seen(section, known, event, field="", **properties):
    """Whether rules see an event that comes, and its field; a value that is not of the field's type is told elsewhere."""
    for one in taken(section, known, {"type": "track", "event": event, "properties": properties}).events:
        fields = known.events.get(one.type, {})
        return one.type in known.events and (not field or field in fields)
    return False


@settings(max_examples=400)
@given(sections())
def test_a_mapping_has_no_finding_exactly_when_rules_see_what_comes_under_it(mapped):
    section, event, name, of_one = mapped
    assume(of_one or "." not in name)  # `a.b` is taken for the property b of an event a, misspelt or not
    known = audience()
    found = mappings_found({"s": section}, known, "c.toml", "")
    wrong = {kind: any(f".{kind}." in f.params["key"] for f in found) for kind in ("events", "properties", "traits")}
    [(_, field)], [(_, trait)] = section.properties.items(), section.traits.items()

    if section.events:
        assert wrong["events"] is not is_seen(section, known, event)
    everywhere = [event] if of_one else known.events
    assert (wrong["properties"] or (of_one and wrong["events"])) is not any(
        is_seen(section, known, e, field, **{name: 1}) for e in everywhere
    )
    told = taken(section, known, {"type": "identify", "traits": {"t": "x"}})
    assert wrong["traits"] is not (trait in known.traits and not told.unmapped and not is_made(known.traits[trait]))
    assert bool(told.unmapped) is (trait not in known.traits)


# --- what is shipped


def shipped() -> Audience:
    model, source = load_audience_text((DEFINITIONS / "audience.yaml").read_text(encoding="utf-8"))
    return compile_audience(model, source)


@pytest.mark.parametrize("kind", DEFAULTS)
def test_every_name_that_a_source_leads_to_by_itself_is_declared_in_the_shipped_audience(kind):
    naming, known = DEFAULTS[kind], shipped()

    assert set(naming.events.values()) <= set(known.events)
    for said_, ours in naming.properties.items():
        assert ours in known.events[naming.event(said_.partition(".")[0])]


def test_every_event_that_a_device_may_bring_unless_config_says_otherwise_is_declared_in_the_shipped_audience():
    allowed = TypeAdapter(Source).validate_python({"kind": "sensors"}).may_assert

    assert {pattern for pattern in allowed if "*" not in pattern} <= set(shipped().events)


def test_no_mapping_of_the_page_about_sources_leads_to_a_name_that_the_shipped_audience_does_not_declare():
    page = Path(__file__).parents[2] / "docs" / "sources.md"
    blocks = re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)

    assert sum("deal_viewed" in block for block in blocks) >= 2
    assert [f.line() for block in blocks for f in found(block, shipped())] == []
