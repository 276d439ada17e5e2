"""What the tests of `plan` share: files put into a shop, the plan of them, and their release."""

from runtime.applying import Asked, apply, check_project
from runtime.planning import plan_of
from tests.shop import write_journeys
from tests.town import AUDIENCE, DAY, NOON, PUSH, journey_text

ENTRY = "{event: app_opened}"
SEND = f"- {{id: gift, send: {PUSH}}}"
OLD = journey_text(f"- {{id: pause, delay: 3d}}\n{SEND}", entry=ENTRY, max_lateness="6h")


NEW_TRAITS = """traits:
  spent: {type: number, sum: order_paid, of: amount}
  tier: {type: number, from: profile}
"""
NEW_SEGMENTS = """segments:
  rich: {name: R, when: user.spent > 10}
  late: {name: L, when: "count('order_paid', within='8d') > 0"}
  gold: {name: G, when: user.tier > 3}
"""
SPENT = AUDIENCE.replace("traits:\n", NEW_TRAITS).replace("segments:\n", NEW_SEGMENTS)


def enter(shop, *users):
    for user in users:
        shop.post({"id": f"o-{user}", "type": "app_opened", "user_id": user})
    shop.settle()


def plan(shop, *journeys, now=NOON + DAY, in_flight=None, audience=AUDIENCE):
    write_journeys(shop.folder, *journeys, audience=audience)
    checked = check_project(shop.project)
    assert checked.errors == 0, [f.line() for f in checked.findings]
    return plan_of(shop.app, checked, in_flight or {}, now)


def do(shop, now=NOON + DAY, **asked):
    outcome = apply(shop.app.store, shop.project, check_project(shop.project), now, Asked("me", "why", **asked))
    shop.app.engine.refresh()
    return outcome


def of(found, journey="j"):
    return next(j for j in found.journeys if j.journey == journey)


def at(found, step, journey="j"):
    return next(s for s in of(found, journey).inside if s.step == step)


def spends(shop, *users):
    for user in users:
        shop.post({"id": f"p-{user}", "type": "order_paid", "user_id": user, "data": {"amount": 50}})
    shop.settle()
