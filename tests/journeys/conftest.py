from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings

from channels.sms.rules import RULES
from journeys.audience import compile_audience
from journeys.check import check
from journeys.compile import analyse, compile_journey
from journeys.expression import Scope
from journeys.loader import Definitions, load_audience_text, load_definitions, load_journey_text
from journeys.rule import condition, expression
from journeys.template import parse_template, render
from journeys.world import MessageTemplate, World
from runtime.settings import field_limit, field_problem, load_project

settings.register_profile("journeys", deadline=None, derandomize=True, database=None)
settings.load_profile("journeys")

ROOT = Path(__file__).parents[2]
SHANGHAI = ZoneInfo("Asia/Shanghai")
AUDIENCE = """\
events:
  order_paid: {order_id: text, amount: number, item: text, paid_by: text, due: time, gift: boolean, friends: list}
  order_arrived: {order_id: text, site: text}
  app_opened: {}
  coupon_used: {code: text}
traits:
  name: {type: text, from: profile, default: 邻居}
  city: {type: text, from: profile}
  level: {type: choice, of: [normal, silver, gold], from: profile}
  age: {type: number, from: profile}
  vip: {type: boolean, from: profile}
  birthday: {type: anniversary, from: profile}
  likes: {type: list, from: profile}
  contract_ends: {type: time, from: profile}
  active_hour: {type: time_of_day, top: app_opened, of: hour, within: 60d, at_least: 5}
  last_order_at: {type: time, last: order_paid, of: time}
  orders_90d: {type: number, count: order_paid, within: 90d}
segments:
  dormant: {name: 沉睡, when: days_since(user.last_order_at) >= 30}
lifecycle:
  - {stage: churn, name: 流失, when: days_since(user.last_order_at) >= 90}
  - {stage: fresh, name: 新客}
"""
WORLD = World(
    channels={
        "wechat": {
            "hello": MessageTemplate("service", {"title": "thing1", "note": "thing2"}),
            "offer": MessageTemplate("marketing", {"title": "thing1"}),
        },
        "sms": {
            "short": MessageTemplate("service", {"code": "code"}),
            "promo": MessageTemplate("marketing", {"name": "1"}, text="【小店】优惠券大放送"),
            "good": MessageTemplate("marketing", text="新鲜水果到店，拒收请回复R"),
        },
        "push": {},
        "wecom": {},
    },
    benefits=frozenset({"coupon_10", "gift_5"}),
    endpoints={"stock": {"left": "number", "title": "text"}},
    robots=frozenset({"desk"}),
    field_problem=field_problem,
    field_limit=field_limit,
    sms_rules=RULES["tencent"],
    quiet_hours=(22 * 60 + 30, 6 * 60),
)


class Workshop:
    """Writes small journey files around the part that a test is about."""

    world, zone = WORLD, SHANGHAI

    def __init__(self):
        self.audience_model, self.audience_source = load_audience_text(AUDIENCE)
        self.audience = compile_audience(self.audience_model, self.audience_source)
        self.scope = Scope(
            user=self.audience.user_types(),
            entry={"amount": "number", "x": "any", "when": "time"},
            steps={"gift": {"ok": "boolean", "code": "text", "expires_at": "time"}, "free": {"*": "any"}},
            segments=frozenset({"dormant"}),
            events=frozenset(self.audience.events),
            journeys=frozenset({"j"}),
            benefits=WORLD.benefits,
            channels={name: frozenset(templates) for name, templates in WORLD.channels.items()},
        )

    def text(self, steps="- exit: done", entry="{event: order_paid}", more="", purpose="service"):
        indented = "\n".join("  " + line for line in steps.strip().splitlines())
        tests = "" if "tests:" in more else "tests: [{name: t, expect: []}]\n"  # a live journey has some
        return f"id: j\nname: 测试\nowner: growth\nstatus: live\npurpose: {purpose}\nentry: {entry}\n{more}\nsteps:\n{indented}\n{tests}"

    def findings(self, *args, **kwargs):
        return self.check_texts({"j.yaml": self.text(*args, **kwargs)})

    def check_texts(self, texts, audience=AUDIENCE):
        model, source = load_audience_text(audience)
        loaded = tuple(load_journey_text(text, name) for name, text in texts.items())
        return check(Definitions(loaded, model, source), self.world, self.zone).findings

    def codes(self, *args, **kwargs):
        return [f.code for f in self.findings(*args, **kwargs)]

    def audience_findings(self, text):
        model, source = load_audience_text(text)
        audience = compile_audience(model, source)
        return audience, source.findings

    def compile(self, *args, **kwargs):
        loaded = load_journey_text(self.text(*args, **kwargs), "j.yaml")
        return compile_journey(loaded, self.audience, self.world, self.zone)

    def analyse(self, text):
        return analyse(load_journey_text(text, "j.yaml"), self.audience, self.world, self.zone)


class FakeFacts:
    """One made-up user at one moment."""

    def __init__(self, now=0, zone=SHANGHAI, **known):
        self.now, self.zone = now, zone
        self.entry, self.steps, self.event = known.pop("entry", {}), known.pop("steps", {}), known.pop("event", {})
        self.tags, self.history, self.segments = known.pop("tags", ()), known.pop("history", {}), known.pop("segments", {})
        self.asked = SimpleNamespace(reachable=known.pop("reachable", ()), consents=known.pop("consents", ()))
        self.traits = known

    def at(self, now):
        moved = FakeFacts(now, self.zone, **self.traits)
        moved.entry, moved.steps, moved.event = self.entry, self.steps, self.event
        moved.tags, moved.history, moved.segments, moved.asked = self.tags, self.history, self.segments, self.asked
        return moved

    def trait(self, name):
        return self.traits.get(name)

    def trait_change(self, name):
        return None

    def segment(self, name):
        return bool(self.segments[name].test(self))

    def segment_change(self, name):
        change = self.segments[name].change
        return change(self) if change else None

    def has_tag(self, tag):
        return tag in self.tags

    def count(self, event, within):
        return sum(self.now - within < at <= self.now for at in self.history.get(event, ()))

    def count_change(self, event, within):
        return min((at + within for at in self.history.get(event, ()) if at <= self.now < at + within), default=None)

    def in_journey(self, journey):
        return journey == "j"

    def reachable(self, channel, template):
        return (channel, template) in self.asked.reachable

    def has_consent(self, channel):
        return channel in self.asked.consents

    def remaining(self, benefit):
        return {"coupon_10": 7}.get(benefit)


@pytest.fixture(scope="session")
def workshop():
    return Workshop()


@pytest.fixture(scope="session")
def facts():
    return FakeFacts


@pytest.fixture(scope="session")
def holds(workshop):
    def test(text, now=0, **known):
        return condition(text, workshop.scope).test(FakeFacts(now, **known))

    return test


@pytest.fixture(scope="session")
def value_of(workshop):
    def value(text, now=0, **known):
        return expression(text, workshop.scope).test(FakeFacts(now, **known))

    return value


@pytest.fixture(scope="session")
def printed(workshop):
    def text(source, now=0, **known):
        template, problems = parse_template(source, workshop.scope)
        assert not problems
        return render(template, FakeFacts(now, **known))

    return text


@pytest.fixture(scope="session")
def shipped():
    """The shipped definitions, checked against the shipped configuration."""
    project = load_project(ROOT / "config.toml")
    definitions = load_definitions(ROOT / "journeys" / "definitions")
    checked = check(definitions, project.world(), project.zone)
    return SimpleNamespace(project=project, definitions=definitions, checked=checked, folder=ROOT / "journeys" / "definitions")
