"""A user's story: by enrolments, in the order of time, with the values then and the line of the version that decided then."""

import pytest

from runtime.applying import Applied, Asked, apply, check_project
from runtime.enquiring import trace, trace_json, whole_story
from runtime.explain import as_json
from runtime.moving import InFlight
from runtime.show_portrait import masked
from runtime.state import Person
from tests.shop import CONFIG, HELLO, Shop, write_journeys
from tests.told import told_message, told_story, told_why_not
from tests.town import AUDIENCE, DAY, HOUR, MINUTE, NOON, PUSH, ZONE, at, event, journey_text

CARE = journey_text(
    """
    - id: gift
      grant: {benefit: gift, expires: 7d}
    - id: notice
      send:
        - wechat: {template: news, data: {title: "券 {{ steps.gift.code }}"}}
        - sms: {template: news}
    - id: look
      wait_for: {event: order_paid, where: event.amount > 10, timeout: 1d}
      on_timeout:
        - id: again
          send: [{push: {title: T, body: 再看看}}]
    - id: rest
      delay: 2d
    """,
    id="care", entry="{event: app_opened, where: user.orders_count == 0}", goal="{event: order_paid, within: 7d, then: go_on}",
)  # fmt: skip
QUIET = CONFIG + '[policy]\nquiet_hours = "21:00-09:00"\ncaps = [{purpose = "marketing", max = 1, per = "day"}]\n'


def opened(shop, name="e1", user="u1", **data):
    shop.post({"id": name, "type": "app_opened", "user_id": user, "data": data})
    shop.settle(shop.clock.now() + MINUTE)


@pytest.fixture
def shop(tmp_path):
    """Somebody who got a coupon, did not look for a day, and then bought."""
    made = Shop(tmp_path / "shop", CARE)
    made.welcome("u1")
    made.settle()
    opened(made)
    made.settle(NOON + DAY + 2 * MINUTE)
    made.post({"id": "e2", "type": "order_paid", "user_id": "u1", "data": {"amount": 26, "order_id": "o1", "item": "苹果"}})
    opened(made, "e3")
    made.settle(NOON + DAY + HOUR)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("said_at", "english", "chinese"),
    [
        ("2026-01-05 10:00", "said yes to SMS marketing (crm), said on 2026-01-05 10:00", "同意接收短信营销 (crm)，说于 2026-01-05 10:00"),
        (NOON, "said yes to SMS marketing (crm)", "同意接收短信营销 (crm)"),
    ],
)
def test_a_consent_is_shown_with_the_time_at_which_it_was_said_where_that_is_not_its_receipt(tmp_path, said_at, english, chinese):
    shop = Shop(tmp_path / "shop", HELLO)
    answer = {"granted": True, "source": "crm", "at": said_at}
    shop.post({"user_id": "u1", "consents": {"sms": {"marketing": answer}}}, "/v1/users")
    shop.settle()

    for language, text in (("en", english), ("zh", chinese)):
        [line] = [line.strip() for line in told_story(shop, "u1", language) if "crm" in line]
        assert line.endswith(text), line
        assert line.startswith("2026-12-01 12:00")
    shop.close()


def test_a_yes_that_an_import_brought_without_its_time_says_so(tmp_path):
    shop = Shop(tmp_path / "shop", HELLO)
    shop.post({"user_id": "u1", "consents": {"sms": {"marketing": {"granted": True, "source": "crm", "at": 0}}}}, "/v1/users")
    shop.settle()

    assert "said yes to SMS marketing (crm), at a time that is not known" in told_story(shop, "u1")[-1]
    shop.close()


def test_a_value_that_does_not_fit_the_type_declared_since_is_shown(tmp_path):
    shop = Shop(tmp_path / "shop", HELLO, audience=AUDIENCE.replace("  points: {type: number, from: profile}\n", ""))
    shop.post([{"user_id": "u1", "traits": {"points": "many", "city": "上海"}}], "/v1/users")
    shop.settle()
    write_journeys(shop.folder, HELLO)
    shop.apply(NOON + HOUR)
    shop.settle(NOON + HOUR)

    assert "not of their type, missing in rules  points = many" in told_story(shop)
    shop.close()


def test_a_number_that_is_no_instant_that_can_be_shown_is_shown_as_a_number(tmp_path):
    shop = Shop(tmp_path / "shop", HELLO)
    shop.post([{"user_id": "u1", "traits": {"card": 10**18, "seen": NOON}}], "/v1/users")
    shop.settle()

    assert f"traits  level = normal, card = {10**18}, seen = 2026-12-01 12:00; 2 are 0" in told_story(shop)
    shop.close()


def test_a_story_reads_in_english(shop):
    lines = told_story(shop)

    assert lines[:5] == [
        "The story of u1",
        "stage     buying (在买)",
        "segments  buyers (买过)",
        "traits    level = normal, orders_count = 1, orders_7d = 1, last_order_at = 2026-12-02 12:02",
        "reach     WeChat u1-o…enid: service yes, marketing yes",
    ]
    assert lines[lines.index("care · J · v1 · 2026-12-01 12:00 → inside · converted 2026-12-02 12:02") :] == [
        "care · J · v1 · 2026-12-01 12:00 → inside · converted 2026-12-02 12:02",
        "  2026-12-01 12:00  entered: event app_opened",
        "                    user.orders_count == 0; then user.orders_count = 0; care.yaml:6",
        "  2026-12-01 12:00  gift: asked for benefit gift",
        "                    care.yaml:9",
        "  2026-12-01 12:01  gift: benefit gift was given",
        "                    care.yaml:9",
        "  2026-12-01 12:01  notice: planned a message by WeChat",
        "                    news “券 CODE”; the vendor has taken it; key KEY; care.yaml:11",
        "  2026-12-01 12:01  look: waits for order_paid until 2026-12-02 12:01",
        "                    care.yaml:15",
        "  2026-12-02 12:01  look: waited in vain",
        "                    care.yaml:15",
        "  2026-12-02 12:01  again: planned a message by push",
        "                    “T / 再看看”; the vendor has taken it; key KEY; care.yaml:18",
        "  2026-12-02 12:01  rest: waits until 2026-12-04 12:01",
        "                    care.yaml:20",
        "  2026-12-02 12:02  reached the goal by order_paid",
        "                    care.yaml:7",
        "    Now: waits at rest until 2026-12-04 12:01; then the journey ends.",
        "About her",
        "  2026-12-02 12:02  entered segment buyers (买过)",
        "                    audience.yaml:21",
        "  2026-12-02 12:02  stage new (新) → buying (在买)",
        "                    audience.yaml:25",
        "  2026-12-02 12:02  care: was not let in: the condition of the entry does not hold",
        "                    user.orders_count == 0; then user.orders_count = 1; care.yaml:6",
        "  2026-12-02 12:02  app_opened",
    ]


def test_the_same_story_reads_in_chinese(shop):
    lines = told_story(shop, language="zh", journey="care")

    assert lines[0] == "u1 的经过"
    assert lines[lines.index("care · J · v1 · 2026-12-01 12:00 → 进行中 · 2026-12-02 12:02 转化") :] == [
        "care · J · v1 · 2026-12-01 12:00 → 进行中 · 2026-12-02 12:02 转化",
        "  2026-12-01 12:00  进入旅程：事件 app_opened",
        "                    user.orders_count == 0；当时 user.orders_count = 0；care.yaml:6",
        "  2026-12-01 12:00  gift：申请权益 gift",
        "                    care.yaml:9",
        "  2026-12-01 12:01  gift：权益 gift 已发放",
        "                    care.yaml:9",
        "  2026-12-01 12:01  notice：发微信订阅消息",
        "                    news “券 CODE”；服务商已收下；key KEY；care.yaml:11",
        "  2026-12-01 12:01  look：等 order_paid，最迟到 2026-12-02 12:01",
        "                    care.yaml:15",
        "  2026-12-02 12:01  look：等待超时",
        "                    care.yaml:15",
        "  2026-12-02 12:01  again：发推送",
        "                    “T / 再看看”；服务商已收下；key KEY；care.yaml:18",
        "  2026-12-02 12:01  rest：等到 2026-12-04 12:01",
        "                    care.yaml:20",
        "  2026-12-02 12:02  达成目标（order_paid）",
        "                    care.yaml:7",
        "    现在：在 rest 等到 2026-12-04 12:01，然后 旅程结束。",
        "她自己的事",
        "  2026-12-02 12:02  care：没有让进：不合进入条件",
        "                    user.orders_count == 0；当时 user.orders_count = 1；care.yaml:6",
    ]


def test_what_she_waits_for_is_said_with_what_follows_each_end(tmp_path):
    shop = Shop(tmp_path / "shop", CARE)
    shop.welcome("u1")
    opened(shop)

    assert told_story(shop)[-2:] == [
        (
            "    Now: at look, waits for order_paid until 2026-12-02 12:01. "
            "if order_paid [event.amount > 10] comes: rest (delay); else again (send push)"
        ),
        "    The goal order_paid counts until 2026-12-08 12:00.",
    ]
    assert told_story(shop, language="zh")[-2] == (
        "    现在：在 look 等 order_paid，最迟到 2026-12-02 12:01。 等到 order_paid [event.amount > 10]：rest（等待）；等不到：again（发送 推送）"
    )
    shop.close()


def test_a_message_on_another_channel_says_why_not_on_the_one_before(tmp_path):
    shop = Shop(tmp_path / "shop", CARE)
    shop.welcome("u1")
    shop.post({"user_id": "u1", "consents": {"wechat": {"marketing": False}}}, "/v1/users")
    opened(shop)

    lines = told_story(shop)
    assert [line for line in lines if "not before it" in line] == [
        (
            "                    news; the vendor has taken it; "
            "not before it: WeChat: she has not agreed to such messages on this channel; key KEY; care.yaml:11"
        )
    ]
    shop.close()


def test_a_hold_and_a_cap_are_told_with_their_reasons(tmp_path):
    first, second = (journey_text(f"- id: say\n  send: {PUSH}", id=name, entry="{event: app_opened}") for name in ("first", "second"))
    shop = Shop(tmp_path / "shop", first, second, config=QUIET, now=at("2026-12-01 22:00"))
    shop.welcome("u1")
    opened(shop)
    held = told_story(shop, "u1", journey="first")
    shop.settle(at("2026-12-02 09:00"))

    assert held[-3:] == [
        "  2026-12-01 22:00  say: held until 2026-12-02 09:00: quiet hours, no marketing now",
        "                    first.yaml:8",
        "    Now: holds the message of say until 2026-12-02 09:00: quiet hours, no marketing now; then it is asked again.",
    ]
    assert told_story(shop, "u1", "zh", journey="second")[-3:] == [
        "  2026-12-02 09:00  say：没有发：超过频次上限",
        "                    频次 marketing 1/day，已用 1；second.yaml:8",
        "  2026-12-02 09:00  结束：全部步骤走完",
    ]
    assert "caps used  marketing 1/day: full (1), free at 2026-12-03 00:00" in told_story(shop)
    shop.close()


def test_lines_are_those_of_the_version_that_ran_then(shop):
    write_journeys(shop.folder, CARE.replace("steps:", "priority: 60\nmax_lateness: 9d\nsteps:"))
    shop.apply()
    shop.settle(NOON + 4 * DAY)
    lines = told_story(shop)

    assert [line for line in lines if line.startswith("care")] == [
        "care · J · v1, which is not the current one · 2026-12-01 12:00 → 2026-12-04 12:01 all steps are done · converted 2026-12-02 12:02"
    ]
    assert "                    care.yaml:15" in lines, "look stood there then"


def test_an_entry_by_a_segment_names_the_line_of_the_segment_too(tmp_path):
    shop = Shop(tmp_path / "shop", journey_text("- id: rest\n  delay: 1d", id="buy", entry="{segment: buyers, existing: skip}"))
    shop.welcome("u1")
    shop.post({"id": "e1", "type": "order_paid", "user_id": "u1", "data": {"amount": 5}})
    shop.settle()

    assert told_story(shop, journey="buy", language="zh")[-6:-3] == [
        "buy · J · v1 · 2026-12-01 12:00 → 进行中",
        "  2026-12-01 12:00  进入旅程：进入分群「买过」buyers",
        "                    user.orders_count > 0；当时 user.orders_count = 1；buy.yaml:6, audience.yaml:21",
    ]
    shop.close()


def test_a_former_id_leads_to_who_she_is_now_and_the_story_says_so(shop):
    store = shop.app.store
    anonymous = Person("", (("openid", "o9"),), frozenset({"openid"}))
    store.database.write(lambda tx: store.identity.resolve(tx, [("shop", anonymous)], NOON))
    store.database.write(lambda tx: store.identity.note_merge(tx, "u1", "openid:o9", "shop", "openid o9", NOON))
    shop.settle()

    whole, _ = whole_story(shop.app, "u1", shop.clock.now())
    lines = told_story(shop, "u1")

    assert whole.portrait.former == ["openid:o9"]
    assert "former ids  openid:o9" in lines
    assert any("openid:o9 is the same person and was merged into her (shop: openid o9)" in line for line in lines)


def test_only_what_has_happened_since_a_day_is_told(shop):
    lines = told_story(shop, since=NOON + DAY + MINUTE)

    assert "  2026-12-01 12:00  entered: event app_opened" not in lines
    assert "  2026-12-02 12:01  look: waited in vain" in lines


def test_of_a_long_story_the_newest_lines_are_told_and_the_others_counted(shop):
    whole = told_story(shop)
    short = told_story(shop, most=6)
    times = [line for line in short if line.startswith("  2026")]

    assert len(times) < len([line for line in whole if line.startswith("  2026")])
    assert "… 15 earlier lines are left out; --all shows them, --since DAY from a day on" in short
    assert whole[-1] == short[-1]


def test_events_of_one_kind_in_a_row_are_one_line(tmp_path):
    shop = Shop(tmp_path / "shop", HELLO.replace("app_opened", "group_ended"))
    shop.welcome("u1")
    for number in range(3):
        opened(shop, f"e{number}")

    assert told_story(shop)[-1] == "  2026-12-01 12:00  app_opened  ×3, last 2026-12-01 12:02"
    shop.close()


def test_what_is_not_worked_on_yet_or_set_aside_is_said_below(shop):
    shop.app.store.database.write(lambda tx: shop.app.store.inbox.add_events(tx, "shop", [event("app_opened", NOON + 2 * DAY, id="e9")]))
    shop.post([{"id": "bad", "type": "order_paid", "user_id": "u1", "time": "yesterday"}])

    lines = told_story(shop, language="zh")
    assert "还有 1 条事件或资料没有处理，以下不含这些（journeyd run 在运行吗？）" in lines
    assert any(line.startswith("2026-12-02 13:00 被隔离，event：") for line in lines)


def test_a_row_that_cannot_be_read_costs_only_what_needs_it(shop):
    def spoil(tx):
        for table, column, which in (
            ("users", "profile", "user_id = 'u1'"), ("log", "entries", "id = (SELECT min(id) FROM log)"),
            ("refusals", "why", "user_id = 'u1'"), ("messages", "content", "user_id = 'u1'"), ("enrolments", "context", "user_id = 'u1'"),
        ):  # fmt: skip
            tx.exec_driver_sql(f"UPDATE {table} SET {column} = '[broken' WHERE {which}")

    shop.app.store.database.write(spoil)
    lines = told_story(shop)

    assert "her profile cannot be read: what needs it is left out" in lines
    assert "  2026-12-01 12:00  a record that cannot be read" in lines
    assert "  2026-12-02 12:01  look: waited in vain" in lines


def test_the_data_has_everything_and_keeps_its_names(shop):
    whole, _ = whole_story(shop.app, "u1", shop.clock.now())
    told = as_json(whole, ZONE)

    assert list(told) == [
        "user_id",
        "asked",
        "found_by",
        "known",
        "who",
        "enrolments",
        "story",
        "messages",
        "consents",
        "refusals",
        "events",
    ]
    assert told["who"]["addresses"]["openid"] == "u1-openid"
    assert told["enrolments"][0]["standing"]["doing"] == "delay"
    line = next(line for line in told["story"] if line["action"] == "sent")
    assert (line["at"], line["journey"], line["step"], line["place"], line["version"]) == (
        "2026-12-01 12:01",
        "care",
        "notice",
        "care.yaml:11",
        1,
    )


def test_who_is_known_by_nothing_but_an_id_is_told_so(shop):
    shop.app.store.database.write(lambda tx: tx.exec_driver_sql("INSERT INTO users (user_id) VALUES ('bare')"))

    assert told_story(shop, "bare", "zh")[-1] == "除了这个 id，别的都不知道（可能已删除）"
    assert told_story(shop, since=NOON + 9 * DAY, journey="care")[-1] != "nothing is kept for that time", "she is inside still"
    shop.settle(NOON + 9 * DAY)
    assert told_story(shop, since=NOON + 9 * DAY + HOUR, journey="care")[-1] == "nothing is kept for that time"


def test_traits_are_what_the_release_in_force_says_before_the_daemon_has_made_them_anew(shop):
    stricter = AUDIENCE.replace("count: order_paid}", "count: order_paid, where: event.amount > 100}")
    write_journeys(shop.folder, CARE, audience=stricter)
    shop.apply()

    whole, _ = whole_story(shop.app, "u1", shop.clock.now())
    assert whole.portrait.traits["orders_count"] == 0


def test_an_event_that_came_too_late_is_told_with_its_reason(tmp_path):
    shop = Shop(tmp_path / "shop", CARE)
    shop.welcome("u1")
    opened(shop)
    shop.settle(NOON + DAY + 2 * HOUR)
    late = {"id": "e2", "type": "order_paid", "user_id": "u1", "time": "2026-12-01T13:00:00+08:00", "data": {"amount": 26}}
    shop.post(late)
    shop.settle()

    assert (
        "  2026-12-02 12:01  (known 2026-12-02 14:00) look: event order_paid of 2026-12-01 13:00 did not count: "
        "it happened in time, and arrived after the wait was over"
    ) in told_story(shop)
    shop.close()


def test_a_message_to_somebody_else_says_to_whom(tmp_path):
    to_leader = f"- id: tell\n  send: {PUSH}\n  to: user.leader_id"
    shop = Shop(tmp_path / "shop", journey_text(to_leader, id="lead", entry="{event: app_opened}"))
    shop.welcome("u1", "boss")
    shop.post({"user_id": "u1", "traits": {"leader_id": "boss"}}, "/v1/users")
    shop.settle()
    opened(shop)

    assert "                    to boss; “T / B”; the vendor has taken it; key KEY; lead.yaml:8" in told_story(shop)
    shop.close()


def test_story_why_not_and_message_are_told_on_each_database(tmp_path, database_url):
    shop = Shop(tmp_path / "shop", CARE, url=database_url)
    shop.welcome("u1")
    opened(shop)
    key = next(m["key"] for m in shop.story().messages if m["kind"] == "message")

    assert "  2026-12-01 12:01  gift: benefit gift was given" in told_story(shop)
    assert told_why_not(shop, "u1", "care")[1].startswith("She did: 1 message")
    assert "state        the vendor has taken it; 2026-12-01 12:01" in told_message(shop, key)
    shop.close()


def test_of_an_address_only_the_ends_are_shown():
    assert [masked(text) for text in ("+8613900000191", "u1-phone", "oAbCdEfGh")] == ["+861…0191", "u1-phone", "oAbC…EfGh"]


def test_what_was_decided_before_a_move_is_told_by_the_version_that_decided_it(tmp_path):
    steps = f"- {{id: hi, if: user.orders_count == 0, send: {PUSH}}}\n- {{id: pause, delay: 3d}}\n- {{id: gift, send: {PUSH}}}"
    before = journey_text(steps, entry="{event: app_opened}")
    shop = Shop(tmp_path / "shop", before)
    shop.welcome("u1")
    opened(shop)
    write_journeys(shop.folder, before.replace("user.orders_count == 0", "user.level == 'gold'"))
    asked = Asked("me", "gold only", {"j": InFlight("move")})
    assert isinstance(apply(shop.app.store, shop.project, check_project(shop.project), shop.clock.now(), asked), Applied)
    shop.app.engine.refresh()
    shop.settle(NOON + HOUR)

    told = told_story(shop)

    shop.close()
    assert any("user.orders_count == 0" in line for line in told)
    assert not any("gold" in line for line in told)


def moved(shop, after):
    """The shop's journey in other words, with those inside moved to it."""
    write_journeys(shop.folder, after)
    asked = Asked("me", "", {"j": InFlight("move")})
    assert isinstance(apply(shop.app.store, shop.project, check_project(shop.project), shop.clock.now(), asked), Applied)
    shop.app.engine.refresh()
    shop.settle(shop.clock.now() + HOUR)


@pytest.fixture
def put_back(tmp_path):
    """Somebody who was sent `hi` by version 1 and was moved to version 2, in which it stands after the step where she rests."""
    shop = Shop(tmp_path / "shop", journey_text(f"- {{id: hi, send: {PUSH}}}\n- {{id: rest, delay: 9d}}", entry="{event: app_opened}"))
    shop.welcome("u1")
    opened(shop)
    tail = f"- {{id: hi, send: {PUSH}}}\n- {{id: gift, grant: {{benefit: gift}}}}"
    moved(shop, journey_text(f"# another head\n- {{id: rest, delay: 8d}}\n{tail}", entry="{event: app_opened}"))
    yield shop
    shop.close()


def test_as_data_each_line_says_the_version_that_decided_it_and_so_does_a_message(put_back):
    whole, _ = whole_story(put_back.app, "u1", put_back.clock.now())
    lines = {(line["action"], line["step"]): line for line in as_json(whole, ZONE)["story"]}
    sent, move = lines["sent", "hi"], lines["moved", "rest"]
    told = trace_json(trace(put_back.app, sent["why"]["key"], put_back.clock.now()), ZONE)

    assert [(line["version"], line["version_is_current"], line["place"]) for line in (sent, told, move)] == [
        (1, False, "j.yaml:8"),
        (1, False, "j.yaml:8"),
        (2, True, "j.yaml:9"),
    ]
    assert (told["way"][0]["version"], told["step"][0]["version"]) == (1, 1)
    assert "from         j v1, which is not the current one; hi j.yaml:8" in told_message(put_back, sent["why"]["key"])
    assert {line["version"] for line in as_json(whole, ZONE)["story"] if not line["enrolment"]} <= {None}


def test_what_she_had_before_a_move_is_not_told_to_come_next(put_back):
    chapter = whole_story(put_back.app, "u1", put_back.clock.now())[0].chapters[0]
    told = [(follows.on, follows.step) for follows in chapter.standing.follows]
    put_back.settle(NOON + 9 * DAY)

    assert told == [("done", "gift")]
    assert [m["step"] for m in put_back.story().messages] == ["hi", "gift"]


def test_a_move_that_finds_the_wait_over_says_so_before_what_was_late(tmp_path):
    waiting = journey_text(f"- {{id: pause, delay: 3d}}\n- {{id: gift, send: {PUSH}}}", entry="{event: app_opened}", max_lateness="6h")
    shop = Shop(tmp_path / "shop", waiting)
    shop.welcome("u1")
    opened(shop)
    shop.settle(NOON + 2 * DAY)
    write_journeys(shop.folder, waiting.replace("3d", "1d"))
    asked = Asked("me", "shorter", {"j": InFlight("move")})
    assert isinstance(apply(shop.app.store, shop.project, check_project(shop.project), shop.clock.now(), asked), Applied)
    shop.app.engine.refresh()

    shop.settle(NOON + 2 * DAY + HOUR)

    told = [line.strip() for line in told_story(shop)]
    shop.close()
    moved = next(n for n, line in enumerate(told) if "moved to v2" in line)
    assert told[moved] == (
        "2026-12-03 13:00  pause: moved to v2, where this was over at 2026-12-02 12:00 (instead of 2026-12-04 12:00): what follows is late"
    )
    assert [line for line in told[moved + 1 :] if "too late" in line or "ended:" in line] == [
        "2026-12-02 12:00  (done 2026-12-03 13:00) gift: too late by 1d1h",
        "2026-12-02 12:00  (done 2026-12-03 13:00) ended: all steps are done",
    ]


@pytest.fixture
def after_an_outage(tmp_path):
    """Somebody whose day of rest was over while the daemon stood still for another."""
    steps = f"- {{id: rest, delay: 1d}}\n- {{id: hi, send: {PUSH}}}\n- {{id: look, wait_for: {{event: order_paid, timeout: 1h}}}}"
    shop = Shop(tmp_path / "shop", journey_text(steps, entry="{event: app_opened}"))
    shop.welcome("u1")
    opened(shop)
    shop.settle(NOON + 2 * DAY)
    yield shop
    shop.close()


@pytest.mark.parametrize(
    ("language", "at_once", "done", "known"),
    [
        ("en", "2026-12-01 12:00  rest: waits until 2026-12-02 12:00", "(done 2026-12-03 12:00) hi: planned a message by push",
         "(known 2026-12-03 12:00) look: waited in vain"),
        ("zh", "2026-12-01 12:00  rest：等到 2026-12-02 12:00", "（2026-12-03 12:00 才做）hi：发推送", "（2026-12-03 12:00 才得知）look：等待超时"),
    ],
)  # fmt: skip
def test_what_was_done_notably_later_than_its_time_says_when(after_an_outage, language, at_once, done, known):
    lines = [line.strip() for line in told_story(after_an_outage, language=language)]

    assert at_once in lines
    assert (f"2026-12-02 12:00  {done}", f"2026-12-02 13:00  {known}") in zip(lines, lines[4:], strict=False)
    message = next(m for m in after_an_outage.story().messages)
    assert any(done in line for line in told_message(after_an_outage, message["key"], language))


def test_as_data_each_line_of_the_log_has_the_moment_at_which_it_was_written(after_an_outage):
    whole, _ = whole_story(after_an_outage.app, "u1", after_an_outage.clock.now())
    written = {line["action"]: (line["at"], line["recorded_at"], line["recorded_at_ms"]) for line in as_json(whole, ZONE)["story"]}

    assert written["sent"] == ("2026-12-02 12:00", "2026-12-03 12:00", NOON + 2 * DAY)
    assert written["entered"][1] == "2026-12-01 12:01"


def test_what_has_happened_since_a_day_is_what_was_done_since(after_an_outage):
    told = told_story(after_an_outage, since=NOON + 2 * DAY)

    assert any("hi: planned a message" in line for line in told)
    assert not any("entered" in line for line in told)
