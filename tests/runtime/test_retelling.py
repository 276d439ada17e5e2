"""`check --record`: a story that happened becomes a test of its journey which passes, or nothing is written."""

import pytest

from journeys.source import parse_source
from runtime.adapters import silent_channels
from runtime.app import build_app
from runtime.applying import Applied, Asked, apply, check_project
from runtime.checking import Checker
from runtime.retelling import CannotRecord, Wanted, retell
from runtime.settings import load_project
from runtime.virtual import VirtualRun
from tests.shop import make_folder
from tests.town import DAY, HOUR, NOON, PUSH_THEN_SMS, event, journey_text, reachable

STEPS = f"""
- {{id: gift, grant: {{benefit: gift}}, on_failed: [{{exit: sold_out}}]}}
- {{id: often, branch: [{{when: user.orders_count >= 2, steps: [{{id: hello, send: {PUSH_THEN_SMS}}}]}}], otherwise: [{{exit: too_few}}]}}
- {{id: half, split: [{{name: a, weight: 1, steps: [{{id: mark, update: {{add_tags: [seen]}}}}]}}, {{name: b, weight: 1}}]}}
- {{id: look, wait_for: {{event: app_opened, timeout: 2d}}, on_event: [{{exit: came}}]}}
"""
ASKED = journey_text(STEPS, id="asked", entry="{event: order_paid, reentry: always}")
TALKS = journey_text("- {id: hi, delay: 5d}", id="talks", entry="{event: app_opened}")
SHE = "李小花-openid-oAbC"


class Past:
    """What happened before somebody records it."""

    def __init__(self, folder, *journeys):
        self.folder = make_folder(folder, *journeys)
        self.project = load_project(self.folder)
        self.app = build_app(
            self.project, url=f"sqlite:///{folder}/past.db", channels=silent_channels(self.project), virtual=True, scratch=True
        )
        checked = check_project(self.project)
        assert isinstance(apply(self.app.store, self.project, checked, NOON - 9 * DAY, Asked("t", "")), Applied)
        self.app.engine.refresh()
        self.run = VirtualRun(self.app.store, self.app.engine, self.app.delivery, NOON - 9 * DAY)
        self.know()

    def know(self, user=SHE, **more):
        record = {**reachable(user), **more}
        self.app.store.database.write(
            lambda tx: self.app.store.inbox.add_user_record(tx, "u", f"{user}{self.run.now}", user, record, self.run.now)
        )
        self.run.settle(self.run.now)

    def happens(self, *events):
        for one in events:
            self.run.advance_to(one.time - 1)
            self.run.post("shop", [one])
            self.run.settle(one.time)
        self.run.advance_to(self.run.now + 30 * DAY)

    def record(self, name="故事", user=SHE, journey="asked", *, force=False):
        return retell(self.app, self.project, Wanted(name, user, journey), force=force)

    def file(self, journey="asked"):
        return self.folder / "journeys" / f"{journey}.yaml"

    def tests(self, journey="asked"):
        return parse_source(self.file(journey).read_text(encoding="utf-8"), "").data.get("tests", [])


@pytest.fixture
def past(tmp_path):
    made = Past(tmp_path / "shop", ASKED, TALKS)
    yield made
    made.app.close()


def bought(time, **data):
    return event("order_paid", time, user=SHE, **{"order_id": "第88号", "amount": 12, "item": "王阿姨的桃", **data})


def test_a_story_becomes_a_test_that_passes_and_reads_like_one(past):
    past.happens(bought(NOON - DAY), bought(NOON), event("app_opened", NOON + 3 * HOUR + 500, user=SHE))
    before = past.file().read_text(encoding="utf-8")

    retold = past.record()

    (test,) = past.tests()
    assert (retold.test.passed, retold.written, {row.mark for row in retold.differing}) == (True, True, {" "})
    assert past.file().read_text(encoding="utf-8").startswith(before + "tests:\n  - name: 故事\n")
    assert (test["at"], test["user"], test["given"]["variant"].keys()) == ("2026-12-01 12:00", {"orders_count": 1}, {"half"})
    assert test["events"] == [{"at": "2026-12-01 15:00", "event": "app_opened"}]
    assert test["expect"][:2] == [{"after": "0s", "grant": "gift"}, {"after": "0s", "send": "push", "step": "hello"}]
    assert test["expect"][-1] == {"at": "2026-12-01 15:00", "end": "came"}
    assert Checker(past.folder, workers=1, keep=False).check().tests == 1


def test_nobody_can_be_told_from_it(past):
    past.happens(bought(NOON - DAY), bought(NOON))

    past.record()

    written = past.file().read_text(encoding="utf-8").split("tests:")[1]
    assert not [secret for secret in (SHE, "李小花", "oAbC", "第88号", "王阿姨") if secret in written]
    assert past.tests()[0]["entry"] == {"order_id": "order_id-1", "amount": 12, "item": "item-1"}


def test_what_the_world_refused_is_given(past):
    past.app.store.database.write(lambda tx: past.app.store.budgets.set_totals(tx, {"gift": 0}))
    past.happens(bought(NOON))
    past.record("没有预算")
    past.app.store.database.write(lambda tx: past.app.store.budgets.set_totals(tx, {"gift": 9}))
    past.know(consents={"push": {"service": False, "marketing": False}})
    past.happens(bought(NOON + 40 * DAY))
    past.record("不要推送")

    sold_out, no_push = past.tests()

    assert (sold_out["given"], sold_out["expect"]) == ({"benefits": {"gift": "sold_out"}}, [{"after": "0s", "end": "sold_out"}])
    assert no_push["given"]["consents"] == {"push": False}
    assert {"after": "0s", "send": "sms", "step": "hello"} in no_push["expect"]


def test_what_a_test_cannot_reproduce_is_shown_and_nothing_is_written(past, tmp_path):
    steps = "- {id: b, branch: [{when: in_journey('talks'), steps: [{exit: talking}]}]}"
    other = Past(tmp_path / "other", journey_text(steps, id="asked", entry="{event: order_paid}"), TALKS)
    other.happens(event("app_opened", NOON, user=SHE), bought(NOON + HOUR))
    before = other.file().read_bytes()

    refused = other.record()
    other_bytes = other.file().read_bytes()
    forced = other.record(force=True)
    other.app.close()

    assert (refused.written, other_bytes) == (False, before)
    assert [(row.mark, row.line.what) for row in refused.differing] == [("-", "talking"), ("+", "completed")]
    assert (forced.written, forced.test.passed) == (True, False)
    assert other.tests()[0]["expect"] == [{"after": "0s", "end": "talking"}]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"user": "nobody"}, "nobody is known by the id nobody"),
        ({"journey": "askd"}, "never in askd, did you mean asked?"),
        ({"journey": "talks"}, "still inside|never in talks"),
        ({"name": "schon da"}, "has a test “schon da” already"),
    ],
)
def test_a_story_that_is_not_there_is_said(past, wanted, said):
    past.happens(bought(NOON))
    past.record("schon da")

    with pytest.raises(CannotRecord, match=said):
        past.record(**wanted)


def test_in_several_journeys_one_must_be_named(past):
    past.happens(bought(NOON), event("app_opened", NOON + HOUR, user=SHE))

    with pytest.raises(CannotRecord, match=r"say which: --journey asked \| talks"):
        past.record(journey=None)


def test_who_is_still_inside_has_no_whole_story_yet(past):
    past.run.post("shop", [event("app_opened", NOON, user=SHE)])
    past.run.settle(NOON)

    with pytest.raises(CannotRecord, match="still inside talks"):
        past.record(journey="talks")


def test_a_file_that_has_errors_by_now_is_mended_first(past):
    past.happens(bought(NOON))
    past.file().write_text("id: [", encoding="utf-8")

    with pytest.raises(CannotRecord, match="no file of asked without errors"):
        past.record()
