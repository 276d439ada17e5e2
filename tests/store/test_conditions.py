"""The two evaluators agree: conditions in SQL on both databases say of every user what the closures say."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from journeys.audience import compile_audience
from journeys.evaluate import leaves_of
from journeys.expression import Scope
from journeys.loader import load_audience_text
from journeys.localtime import zone_named
from journeys.nesting import MOST_LEVELS
from journeys.rule import condition
from journeys.values import as_number
from runtime import profile
from runtime.facts import UserFacts
from runtime.profile import MOST_DIFFERENT, change_tags, project, set_values
from runtime.state import Event, User
from runtime.store import aggregates
from runtime.store.conditions import Moment, Uncompilable, compile_sql, compile_values
from runtime.store.documents import Postgres, Sqlite
from runtime.store.rows import USER_COLUMNS, user_of
from runtime.store.tables import enrolments, users
from tests.town import DAY, HOUR, MINUTE, ZONE, at

_model, _source = load_audience_text((Path(__file__).parent / "audience_for_conditions.yaml").read_text(encoding="utf-8"))
TOWN = compile_audience(_model, _source)
assert not _source.findings, [f.line() for f in _source.findings]
SCOPE = Scope(user=TOWN.user_types(), segments=frozenset(TOWN.segments), events=frozenset(TOWN.events), journeys=frozenset({"j", "k"}),
              channels={"sms": frozenset()}, benefits=frozenset({"gift"}), entry={"time": "time"})  # fmt: skip
TIMES = {f"user.{name}" for name in TOWN.times}
ZONES = ["", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Nowhere/Gone"]
TEXTS = [
    "米",
    "a",
    "A",
    "ä",
    "a\u0308",
    "上海",
    "😀",
    "𐀀",
    "\ufffd",
    "",
    " a",
    "1",
    "true",
    "q\"uo'te",
    "back\\slash",
    "\x01",
    "\u2028",
    "gold",
    "阿姨",
]
TAGS = ["vip", "订阅菜谱", "😀", 'a"b', "1"]
# the changes of summer time in Berlin and New York, midnight in Shanghai, and an instant that nothing happens at
MOMENTS = [at(t, ZoneInfo("UTC")) for t in ("2026-03-29 01:00", "2026-10-25 01:00", "2026-03-08 07:00", "2026-11-01 06:00",
                                            "2026-05-31 16:00", "2026-12-01 04:00:00.001")]  # fmt: skip


# --- people, as events and records make them


def somebody(draw: Random, number: int, now: int) -> User:
    zone = draw.choice(ZONES)
    user = User(f"u{number}😀" if number % 7 == 0 else f"u{number}", zone_named(zone) or ZONE)
    user.journeys = {j for j in ("j", "k") if draw.random() < 0.2}
    user.stage = draw.choice(["", "churn", "new"])
    values = {
        "city": draw.choice(TEXTS), "nick": draw.choice(TEXTS), "level": draw.choice(["normal", "gold", "platinum"]),
        "points": number_of(draw), "share": number_of(draw), "vip": draw.choice([True, False, "true", "no"]),
        "loud": draw.choice([True, False]), "birthday": draw.choice(["1990-02-29", "12-31", "31"]),
        "likes": draw.sample(TEXTS, 3), "ends": (now + moved(draw)) // 1000, "wakes": draw.choice(["06:00", "23:59", 450]),
        "unknown": draw.choice([None, 1.5, "x"]),
    }  # fmt: skip
    set_values(TOWN, user, {k: v for k, v in values.items() if draw.random() < 0.6})
    change_tags(user, draw.sample(TAGS, draw.randrange(4)))
    happened = [happening(draw, f"{number}-{k}", user.id, now) for k in range(draw.choice([0, 1, 3, 6, 12]))]
    for event in happened:
        project(TOWN, user, event)
    if draw.random() < 0.05:  # too many different values, a sum beyond 63 bits
        user.profile.setdefault("a", {}).update(favourite="many", total=str(10**19))
    if draw.random() < 0.05:  # stored under another declaration: it does not fit any more
        user.profile.setdefault("p", {}).update(city=5, points="five", vip=1, likes="a", ends="2026-01-01")
    if draw.random() < 0.2:  # of the right type and not of the format, or just inside of it
        strange = {
            "birthday": draw.choice(["31", "1990-12-03", "13-01", "00-10", "12-00", "12-32", "12-1", "12/31", "12-31 ", "１2-31", "01-01", "12-31", "02-30"]),
            "level": draw.choice(["bronze", "", "Gold", "gold"]), "wakes": draw.choice([-1, 1440, 2000, 0, 1439]),
            "points": draw.choice([1e300, 1.1e11, -1.1e11, 10**18, 1e11]), "ends": draw.choice([10**17, -3 * 10**12, 4_102_444_800_000, 4_102_444_799_999]),
        }  # fmt: skip
        user.profile.setdefault("p", {}).update({name: value for name, value in strange.items() if draw.random() < 0.7})
    return user


def number_of(draw: Random, *, summed: bool = False) -> float:
    """Any number; one that is summed up leaves the sum of a dozen below 10^11, where sums are exact."""
    kind = draw.randrange(6)
    if kind == 0:
        return draw.randrange(-5, 40)
    if kind == 1:
        return as_number(draw.randrange(-40, 40) / 4)
    if kind == 2:
        return as_number(draw.uniform(-50, 50))
    if kind == 3:
        return as_number(draw.uniform(-1e9, 1e9))
    return as_number(draw.choice([0, 0.0001, -0.0001, 0.3333, 2.5, 1.00005, *([1e9] if summed else [1e11, -1e11, 99_999_999_999.9999])]))


def moved(draw: Random) -> int:
    """A distance from now: edges of windows, whole days and hours, and a millisecond beside them."""
    if draw.random() < 0.5:
        return draw.choice([0, -7 * DAY, -30 * DAY, -60 * DAY, -HOUR, 2 * DAY, -3 * DAY]) + draw.choice([-1, 0, 1])
    return draw.choice(
        [-draw.randrange(70 * DAY), -draw.randrange(70) * DAY, -draw.randrange(72) * HOUR, -draw.randrange(300) * 10 * MINUTE]
    )


def happening(draw: Random, id_: str, user: str, now: int) -> Event:
    time = now + moved(draw)
    if draw.random() < 0.4:
        return Event(id_, "opened", user, time, time, {"page": draw.choice(TEXTS)})
    data = {
        "order": draw.choice([user, *TEXTS]), "amount": number_of(draw, summed=True) if draw.random() < 0.5 else draw.randrange(1, 40),
        "item": draw.choice(TEXTS), "item_id": draw.choice(TEXTS[:4]), "gift": draw.random() < 0.5,
        "due": time + draw.choice([0, 1, -1, 2 * DAY, 60 * HOUR, 60 * HOUR - 1, 5 * DAY]), "friends": draw.sample(TEXTS, 2),
        "undeclared": {"deep": [1, None]},
    }  # fmt: skip
    return Event(id_, "bought", user, time, time, {k: v for k, v in data.items() if draw.random() < 0.8})


# --- conditions, as people write them

BY_KIND: dict[str, list[str]] = {}
for _name, _kind in SCOPE.user.items():
    BY_KIND.setdefault("text" if _kind == "choice" else _kind, []).append(f"user.{_name}")
quoted = st.sampled_from(TEXTS).map(lambda t: json.dumps(t, ensure_ascii=False))
numerals = st.sampled_from(["0", "1", "2", "7", "30", "0.5", "2.5", "0.0001", "0.3333", "99999999999", "(-3)"]) | st.integers(
    -100, 100_000
).map(lambda n: f"({n / 10_000})")


@st.composite
def numbers(draw, depth=2):
    pick = draw(st.integers(0, 9 if depth else 5))
    if pick <= 2:
        return draw(st.sampled_from(BY_KIND["number"]))
    if pick == 3:
        return draw(numerals)
    if pick == 4:
        return (
            f"{draw(st.sampled_from(['days_since', 'days_until', 'hours_since', 'hours_until']))}({draw(st.sampled_from(BY_KIND['time']))})"
        )
    if pick == 5:
        return f"count('{draw(st.sampled_from(['bought', 'opened', 'complained']))}', within='{draw(st.sampled_from(['1h', '3d', '7d', '30d']))}')"
    if pick == 6:
        return f"-{draw(st.sampled_from(BY_KIND['number']))}"
    return f"({draw(numbers(depth=depth - 1))} {draw(st.sampled_from('+-*/'))} {draw(numbers(depth=depth - 1))})"


@st.composite
def texts(draw):
    return draw(st.sampled_from(BY_KIND["text"])) if draw(st.integers(0, 2)) else draw(quoted)


@st.composite
def conditions(draw, depth=3):
    pick = draw(st.integers(0, 13 if depth else 9))
    order = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    if pick <= 2:
        return f"{draw(numbers())} {draw(order)} {draw(numbers())}"
    if pick == 3:
        return f"{draw(texts())} {draw(st.sampled_from(['==', '!=']))} {draw(texts())}"
    if pick == 4:
        times = BY_KIND["time"]
        return f"{draw(st.sampled_from(times))} {draw(order)} {draw(st.sampled_from(times))}"
    if pick == 5:
        clocks = st.sampled_from(BY_KIND["time_of_day"])
        other = draw(st.sampled_from(["'07:30'", "'00:00'", "'02:00'", "'23:00'"]) | clocks)
        return f"{draw(clocks)} {draw(order)} {other}"
    if pick == 6:
        container = draw(st.sampled_from(BY_KIND["list"]) | st.lists(quoted, max_size=3).map(lambda q: f"[{', '.join(q)}]"))
        return f"{draw(texts())} {draw(st.sampled_from(['in', 'not in']))} {container}"
    if pick == 7:
        anything = [name for names in BY_KIND.values() for name in names]
        return f"{draw(st.sampled_from(anything) | numbers(depth=1))} is {draw(st.sampled_from(['known', 'missing']))}"
    if pick == 8:
        return draw(st.sampled_from([*BY_KIND["boolean"], "user.vip == user.loud", "user.vip != true", "user.last_gift == false",
                                     "user.birthday == user.birthday", "true", "user.vip == (user.points > 3)"]))  # fmt: skip
    if pick == 9:
        asks = [f"segment('{s}')" for s in TOWN.segments] + [f"has_tag({json.dumps(t, ensure_ascii=False)})" for t in TAGS]
        return draw(st.sampled_from([*asks, "in_journey('j')", "in_journey('k')"]))
    if pick == 10:
        return f"not ({draw(conditions(depth=depth - 1))})"
    return f"({draw(conditions(depth=depth - 1))}) {draw(st.sampled_from(['and', 'or']))} ({draw(conditions(depth=depth - 1))})"


# --- both evaluators, on everybody


class Town:
    """A database that is filled anew for each example."""

    def __init__(self, store) -> None:
        self.store, self.sqlite = store, store.database.is_sqlite
        self.json = Sqlite() if self.sqlite else Postgres()
        self.pairs = self.held = 0

    def __str__(self) -> str:
        return "sqlite" if self.sqlite else "postgresql"

    def agree(self, texts: list[str], seed_: int, now: int, people: int, most_different: int = MOST_DIFFERENT) -> int:
        """Both evaluators agree on every pair, also where few values are already too many to tell apart; how many these were."""
        with pytest.MonkeyPatch.context() as patch:
            for reader in (profile, aggregates):
                patch.setattr(reader, "MOST_DIFFERENT", most_different)
            return self._all_agree(texts, seed_, now, people)

    def _all_agree(self, texts: list[str], seed_: int, now: int, people: int) -> int:
        draw = Random(seed_)
        crowd = [somebody(draw, n, now + draw.choice([0, 0, -3 * DAY])) for n in range(people)]
        database = self.store.database
        with database.engine.begin() as tx:
            tx.execute(delete(users))
            tx.execute(delete(enrolments))
            tx.execute(insert(users), [
                {"user_id": u.id, "zone": "" if u.zone is ZONE else u.zone.key, "profile": orjson.dumps(u.profile).decode(), "stage": u.stage} for u in crowd
            ])  # fmt: skip
            inside = [(u.id, j, s) for u in crowd for j, s in [*((j, 0) for j in u.journeys), *[("k", 2)][: "k" not in u.journeys]]]
            tx.execute(insert(enrolments), [
                {"key": f"{n}", "version_id": 1, "journey": j, "user_id": u, "subject": "", "state": "s", "status": s, "begun_at": 0, "entered_at": 0, "context": "{}"}
                for n, (u, j, s) in enumerate(inside)
            ])  # fmt: skip
            journeys = {u.id: u.journeys for u in crowd}
            moment = Moment(TOWN, now, self.sqlite, ZONE, ZONES)
            for text in texts:
                self._agree(tx, text, moment, journeys)
        self.pairs += len(texts) * len(crowd)
        return self.pairs

    def _agree(self, tx, text, moment, journeys):
        rule = condition(text, SCOPE)
        where, values = compile_sql(rule.node, moment), compile_values(leaves_of(rule.node), moment)
        assert not isinstance(where, Uncompilable), (text, where)
        assert not isinstance(values, Uncompilable), (text, values)
        where, values = (self.json.once(asked, users.c.profile) for asked in (where, values))
        rows = tx.execute(select(*(users.c[c] for c in USER_COLUMNS), where, values)).all()
        held = set(tx.execute(select(users.c.user_id).where(where)).scalars())
        self.held += len(held)
        for *row, truth, seen in rows:
            user = user_of(row, self.store.people._codec, ZONE)
            user.journeys = journeys[user.id]
            facts = UserFacts(TOWN, user, moment.now)
            expected = bool(rule.test(facts))
            assert (truth, user.id in held) == (expected, expected), (text, rule.values(facts), orjson.loads(seen), user)
            told, values = orjson.loads(seen), rule.values(facts)
            for name in TIMES & told.keys():  # no decimals of four places: of such SQLite prints 15 digits, which tell every millisecond
                if isinstance(told[name], float):
                    told[name] = pytest.approx(told[name], rel=1e-14)
            assert told == values, (text, user)


@pytest.fixture
def town(store):
    return Town(store)


# shrinking would take minutes and tells little: a failure prints the condition and the person
QUICK = settings(phases=[Phase.generate], report_multiple_bugs=False, suppress_health_check=[HealthCheck.function_scoped_fixture])
MOST = st.sampled_from([2, 5, MOST_DIFFERENT])  # different values that are told apart: of few events there are too many, too
EVERY = [f"user.{name} is known" for name in SCOPE.user] + [f"not segment('{s}')" for s in TOWN.segments]


def as_deep_as_may_be(name):
    """Arithmetic over a number of the audience that `check` just lets through."""
    for terms in range(MOST_LEVELS, 0, -1):
        text = f"user.{name}" + "".join(f" {'+-*/'[n % 4]} 2" for n in range(terms)) + " > 3"
        if not TOWN.nesting().too_deep(condition(text, SCOPE).node):
            return text
    raise AssertionError(name)


def test_what_is_as_deep_as_check_lets_through_is_asked_in_sql_also_where_much_is_on_the_stack(town):
    numbers = [name for name, trait in TOWN.traits.items() if trait.kind == "number" and name not in ("idle", "also_idle", "left")]
    texts = [as_deep_as_may_be(name) for name in numbers] + ["not (" * MOST_LEVELS + "user.vip" + ")" * MOST_LEVELS]

    def further_down(frames):
        return further_down(frames - 1) if frames else town.agree(texts, 1, MOMENTS[0], 40)

    assert further_down(300) == 40 * len(texts)


@pytest.mark.parametrize("most_different", [2, MOST_DIFFERENT])
def test_every_name_of_the_audience_reads_the_same_in_sql(town, most_different):
    assert town.agree(EVERY, 1, MOMENTS[0], 80, most_different) == 80 * len(EVERY)


def test_a_day_that_no_year_has_is_missing_in_sql_too(town):
    assert town.agree(["user.birthday is known"], 1, MOMENTS[0], 2000) == 2000


@settings(QUICK, max_examples=40)
@given(texts_=st.lists(conditions(), min_size=3, max_size=3), seed_=st.integers(0, 2**32), now=st.sampled_from(MOMENTS), most=MOST)
def test_a_condition_in_sql_says_of_everybody_what_the_closure_says(town, texts_, seed_, now, most):
    town.agree(texts_, seed_, now, 40, most)


@pytest.mark.prove
@pytest.mark.timeout(1800)
@settings(QUICK, max_examples=300, derandomize=False)
@given(texts_=st.lists(conditions(depth=4), min_size=3, max_size=3), seed_=st.integers(0, 2**32), now=st.sampled_from(MOMENTS), most=MOST)
def test_many_conditions_in_sql_say_of_everybody_what_the_closures_say(town, texts_, seed_, now, most):
    town.agree(texts_, seed_, now, 120, most)
    if town.pairs % 10_800 == 0:
        print(f"{town}: {town.pairs:,} pairs of a condition and a person agree, {town.held:,} of them true")


@pytest.mark.parametrize(
    ("text", "function"),
    [
        ("reachable('sms')", "reachable"),
        ("has_consent('sms')", "has_consent"),
        ("remaining('gift') > 0", "remaining"),
        ("entry.time > user.ends", "entry.time"),
    ],
)
def test_what_cannot_be_asked_of_everybody_is_said_with_its_name(text, function):
    rule = condition(f"user.points > 3 or {text}", SCOPE)

    for sqlite in (True, False):
        found = compile_sql(rule.node, Moment(TOWN, MOMENTS[0], sqlite, ZONE))
        assert isinstance(found, Uncompilable)
        assert found.function == function


def test_an_event_with_a_quotation_mark_cannot_be_looked_up_in_sqlite():
    rule = condition("count('a\"b', within='1d') > 0", replace(SCOPE, events=frozenset({'a"b'})))

    assert isinstance(compile_sql(rule.node, Moment(TOWN, MOMENTS[0], True, ZONE)), Uncompilable)
