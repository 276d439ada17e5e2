"""policy.may_send: a table with a comment per row, and properties over random histories."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.duration import parse_window
from journeys.localtime import day_start, in_window, week_start
from runtime.policy import (
    Cap,
    Drop,
    Hold,
    PersonReach,
    Reach,
    Rules,
    Sending,
    SendNow,
    Touch,
    UnknownReach,
    can_reach,
    first_stop,
    longest_cap,
    may_send,
    robot_reach,
)
from tests.town import DAY, HOUR, MINUTE, NOON, ZONE, at, reachable

YES = reachable()
PERSON = PersonReach("u1", ZONE, YES["consents"], YES["identities"])
SEND = Sending("push", None, "marketing", None, None, None)
QUIET = Rules(quiet_hours=parse_window("21:00-09:00"))
DAYTIME = parse_window("10:00-20:00")
NEW_YORK = ZoneInfo("America/New_York")
BERLIN = ZoneInfo("Europe/Berlin")


def saying(**consents):
    return replace(PERSON, consents=consents)


def touched(*touches, zone=ZONE):
    return replace(PERSON, zone=zone, touches=[t if isinstance(t, Touch) else Touch(t, "push", "marketing", None) for t in touches])


def capped(*caps):
    return Rules(caps=caps)


CASES = [
    # nothing speaks against it
    ("free", Rules(), PERSON, SEND, NOON, SendNow()),
    # --- consent: by channel and purpose
    # marketing was refused, service was not: marketing may not
    ("no to marketing", Rules(), saying(push={"marketing": False, "service": True}), SEND, NOON, "no_consent"),
    # ... and service still may
    ("yes to service", Rules(), saying(push={"marketing": False, "service": True}), replace(SEND, purpose="service"), NOON, SendNow()),
    # the other channel's yes says nothing about this one
    ("yes elsewhere", Rules(), saying(sms={"marketing": True}), SEND, NOON, "no_consent"),
    # nothing said: service is assumed
    ("unsaid service", Rules(), saying(), replace(SEND, purpose="service"), NOON, SendNow()),
    # a plain yes or no counts for both purposes
    ("plain no", Rules(), saying(push=False), replace(SEND, purpose="service"), NOON, "no_consent"),
    ("plain yes", Rules(), saying(push=True), SEND, NOON, SendNow()),
    # --- addresses and credits
    ("no address", Rules(), replace(PERSON, addresses={}), SEND, NOON, "unreachable"),
    # a WeCom member is addressed by the user id where no other is known
    ("wecom by id", Rules(), replace(PERSON, addresses={}), replace(SEND, channel="wecom"), NOON, SendNow()),
    # a WeChat subscription that is used up
    ("no credit", Rules(), replace(PERSON, credits={"news": 0}), replace(SEND, channel="wechat", template="news"), NOON, "no_credit"),
    # credits of another template, and templates without a count
    ("other credit", Rules(), replace(PERSON, credits={"info": 0}), replace(SEND, channel="wechat", template="news"), NOON, SendNow()),
    # credits are WeChat's: an SMS template of the same name has none
    ("sms has no credit", Rules(), replace(PERSON, credits={"news": 0}), replace(SEND, channel="sms", template="news"), NOON, SendNow()),
    # consent is looked at before the address
    ("no consent first", Rules(), replace(saying(), addresses={}), SEND, NOON, "no_consent"),
    # --- quiet hours, over midnight, in the recipient's own zone
    ("before quiet", QUIET, PERSON, SEND, at("2026-12-01 20:59"), SendNow()),
    ("at the edge", QUIET, PERSON, SEND, at("2026-12-01 21:00"), Hold(at("2026-12-02 09:00"), "quiet_hours")),
    ("after midnight", QUIET, PERSON, SEND, at("2026-12-02 03:00"), Hold(at("2026-12-02 09:00"), "quiet_hours")),
    ("released", QUIET, PERSON, SEND, at("2026-12-02 09:00"), SendNow()),
    # 12:00 in Shanghai is 23:00 in New York
    ("own zone", QUIET, touched(zone=NEW_YORK), SEND, NOON, Hold(at("2026-12-01 09:00", NEW_YORK), "quiet_hours")),
    # service is exempt from quiet hours
    ("service at night", QUIET, PERSON, replace(SEND, purpose="service"), at("2026-12-02 03:00"), SendNow()),
    # quiet hours over the night in which summer time begins: 09:00 by the clock on the wall
    ("spring", QUIET, touched(zone=BERLIN), SEND, at("2026-03-29 01:30", BERLIN), Hold(at("2026-03-29 09:00", BERLIN), "quiet_hours")),
    # --- between: for service too
    ("service outside", Rules(), PERSON, replace(SEND, purpose="service", between=DAYTIME), at("2026-12-01 08:00"), Hold(at("2026-12-01 10:00"), "between")),
    ("between ends", Rules(), PERSON, replace(SEND, between=DAYTIME), at("2026-12-01 20:00"), Hold(at("2026-12-02 10:00"), "between")),
    # both windows: quiet until 09:00, then not before 10:00; quiet hours give the reason
    ("both", QUIET, PERSON, replace(SEND, between=DAYTIME), at("2026-12-01 22:00"), Hold(at("2026-12-02 10:00"), "quiet_hours")),
    # outside `between` by day, and its opening falls into quiet hours: the next morning
    ("between, then quiet", QUIET, PERSON, replace(SEND, between=parse_window("22:00-12:00")), at("2026-12-01 13:00"), Hold(at("2026-12-02 09:00"), "quiet_hours")),
    # --- expiry
    ("expired", Rules(), PERSON, replace(SEND, expires_at=NOON), NOON, "expired"),
    ("not yet", Rules(), PERSON, replace(SEND, expires_at=NOON + 1), NOON, SendNow()),
    # a hold that would outlive the message is no hold
    ("hold beyond expiry", QUIET, PERSON, replace(SEND, expires_at=at("2026-12-02 09:00")), at("2026-12-01 22:00"), "expired"),
    ("hold before expiry", QUIET, PERSON, replace(SEND, expires_at=at("2026-12-02 09:01")), at("2026-12-01 22:00"), Hold(at("2026-12-02 09:00"), "quiet_hours")),
    # --- a marketing stop, with its own name, whatever the hour
    ("stopped", QUIET, PERSON, replace(SEND, stop="投诉中"), at("2026-12-01 22:00"), "投诉中"),
    ("stop spares service", Rules(), PERSON, replace(SEND, stop="投诉中", purpose="service"), NOON, SendNow()),
    # --- caps, rolling
    ("cap free", capped(Cap(2, 7 * DAY)), touched(NOON - DAY), SEND, NOON, SendNow()),
    ("cap full", capped(Cap(2, 7 * DAY)), touched(NOON - DAY, NOON - 2 * DAY), SEND, NOON, "cap"),
    # exactly seven days ago has left the window, a millisecond less has not
    ("rolled out", capped(Cap(1, 7 * DAY)), touched(NOON - 7 * DAY), SEND, NOON, SendNow()),
    ("still in", capped(Cap(1, 7 * DAY)), touched(NOON - 7 * DAY + 1), SEND, NOON, "cap"),
    # --- caps by the calendar, in the recipient's zone
    ("midnight", capped(Cap(1, "day")), touched(at("2026-12-01 23:59")), SEND, at("2026-12-02 00:00"), SendNow()),
    ("first minute", capped(Cap(1, "day")), touched(at("2026-12-02 00:00")), SEND, at("2026-12-02 23:59"), "cap"),
    # 23:30 and 00:30 in Shanghai are the same day in New York
    ("own day", capped(Cap(1, "day")), touched(at("2026-12-01 23:30"), zone=NEW_YORK), SEND, at("2026-12-02 00:30"), "cap"),
    # the week begins on Monday (30 November 2026)
    ("sunday", capped(Cap(1, "week")), touched(at("2026-11-29 23:59")), SEND, at("2026-11-30 00:00"), SendNow()),
    ("whole week", capped(Cap(1, "week")), touched(at("2026-11-30 00:00")), SEND, at("2026-12-06 23:59"), "cap"),
    # the day that summer time makes 23 hours long
    ("short day", capped(Cap(1, "day")), touched(at("2026-03-29 00:00", BERLIN), zone=BERLIN), SEND, at("2026-03-29 23:59", BERLIN), "cap"),
    ("day after", capped(Cap(1, "day")), touched(at("2026-03-29 23:59", BERLIN), zone=BERLIN), SEND, at("2026-03-30 00:00", BERLIN), SendNow()),
    # ... and the one it makes 25 hours long
    ("long day", capped(Cap(1, "day")), touched(at("2026-10-25 00:00", BERLIN), zone=BERLIN), SEND, at("2026-10-25 23:59", BERLIN), "cap"),
    # --- what a cap counts
    # another channel's touches do not count for a channel cap
    ("other channel", capped(Cap(1, DAY, channel="sms")), touched(NOON - HOUR), replace(SEND, channel="sms"), NOON, SendNow()),
    # ... and a channel cap does not hold other channels
    ("uncovered channel", capped(Cap(0, DAY, channel="sms")), PERSON, SEND, NOON, SendNow()),
    # service is exempt from caps without a topic of its own
    ("service free", capped(Cap(0, DAY)), PERSON, replace(SEND, purpose="service"), NOON, SendNow()),
    # ... but for those that name its topic
    ("service topic", capped(Cap(0, DAY, topic="pickup")), PERSON, replace(SEND, purpose="service", topic="pickup"), NOON, "cap"),
    ("other topic", capped(Cap(0, DAY, topic="pickup")), PERSON, replace(SEND, purpose="service", topic="news"), NOON, SendNow()),
    # marketing's cap does not count service
    ("service not counted", capped(Cap(1, DAY, purpose="marketing")), touched(Touch(NOON - HOUR, "push", "service", None)), SEND, NOON, SendNow()),
    # a cap of nothing means never
    ("never", capped(Cap(0, DAY)), PERSON, SEND, NOON, "cap"),
    # caps are asked after windows: at night a full cap is a hold, it may be free in the morning
    ("hold before cap", replace(QUIET, caps=(Cap(0, DAY),)), PERSON, SEND, at("2026-12-01 22:00"), Hold(at("2026-12-02 09:00"), "quiet_hours")),
    # --- robots have neither consents nor caps, but keep to `between`
    ("robot", capped(Cap(0, DAY)), robot_reach("desk", ZONE), replace(SEND, channel="wecom"), NOON, SendNow()),
    ("robot at night", Rules(), robot_reach("desk", ZONE), replace(SEND, channel="wecom", between=DAYTIME), at("2026-12-01 09:00"), Hold(at("2026-12-01 10:00"), "between")),
    # --- a paused channel
    ("paused", Rules(paused=frozenset({"push"})), PERSON, SEND, NOON, Hold(NOON + 15 * MINUTE, "channel_paused")),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "person", "sending", "now", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_may_send_answers_as_the_table_says(rules, person, sending, now, expected):
    answer = may_send(rules, person, sending, now)

    if isinstance(expected, str):
        assert isinstance(answer, Drop)
        assert answer.reason == expected
    else:
        assert answer == expected


@pytest.mark.parametrize(
    ("sending", "rules", "final"),
    [
        (SEND, capped(Cap(0, DAY, channel="push")), False),  # a cap of one channel: another may do
        (SEND, capped(Cap(0, DAY)), True),  # a cap over all of them: none may
        (SEND, capped(Cap(0, DAY, purpose="marketing")), True),
        (replace(SEND, channel="sms"), Rules(), False),  # no address here; elsewhere there may be one
        (replace(SEND, expires_at=NOON), Rules(), True),
        (replace(SEND, stop="投诉中"), Rules(), True),
    ],
)
def test_only_what_holds_for_every_channel_is_final(sending, rules, final):
    person = replace(PERSON, addresses={"push_id": "p"})

    answer = may_send(rules, person, sending, NOON)

    assert isinstance(answer, Drop)
    assert answer.final is final


@pytest.mark.parametrize(
    ("cap", "spelled"),
    [
        (Cap(2, 7 * DAY, "sms", "marketing"), "sms marketing 2/7d"),
        (Cap(1, 12 * HOUR), "all 1/12h"),
        (Cap(3, "week", topic="x"), "x 3/week"),
    ],
)
def test_a_cap_is_spelled_as_people_write_it(cap, spelled):
    text = str(cap)

    assert text == spelled


def test_the_reach_of_somebody_who_was_not_loaded_is_asked_for():
    reach = Reach(Rules(), {"u1": PERSON})

    with pytest.raises(UnknownReach) as raised:
        reach.of("u2")

    assert raised.value.user_id == "u2"


def test_a_benefit_without_a_budget_has_plenty_left():
    reach = Reach(Rules(), {}, {"gift": 3})

    assert reach.remaining("gift") == 3
    assert reach.remaining("other") == 1_000_000_000


def test_touches_are_looked_at_as_far_back_as_the_longest_cap():
    rules = capped(Cap(1, 3 * DAY), Cap(1, "week"), Cap(1, 20 * DAY))

    assert longest_cap(rules) == 20 * DAY
    assert longest_cap(capped(Cap(1, "day"))) >= 2 * DAY
    assert longest_cap(capped(Cap(1, "week"))) >= 8 * DAY
    assert longest_cap(Rules()) == 0


def test_the_first_stop_that_holds_is_named():
    class Stop:
        def __init__(self, holds):
            self.test = lambda facts: holds

    stops = (("a", Stop(False)), ("b", Stop(True)), ("c", Stop(True)))

    assert first_stop(stops, None) == "b"
    assert first_stop(stops[:1], None) is None


ZONES = [ZONE, NEW_YORK, BERLIN, ZoneInfo("Asia/Kathmandu"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC")]
INSTANTS = st.integers(at("2026-01-01 00:00"), at("2027-01-01 00:00"))
CLOCKS = st.integers(0, 24 * 60 - 1)
WINDOWS = st.tuples(CLOCKS, CLOCKS).filter(lambda w: w[0] != w[1])


def allowed(instant, quiet, between, zone):
    return not (quiet and in_window(instant, quiet, zone)) and (not between or in_window(instant, between, zone))


@given(now=INSTANTS, quiet=st.none() | WINDOWS, between=st.none() | WINDOWS, zone=st.sampled_from(ZONES))
def test_the_release_of_a_hold_is_always_allowed_by_both_windows_and_nothing_before_it_is(now, quiet, between, zone):
    overlap = any(allowed(at("2026-06-10 00:00", ZoneInfo("UTC")) + m * MINUTE, quiet, between, ZoneInfo("UTC")) for m in range(24 * 60))
    person = replace(PERSON, zone=zone)

    answer = may_send(Rules(quiet_hours=quiet), person, replace(SEND, between=between), now)

    if isinstance(answer, Hold) and overlap:
        assert answer.until > now
        assert not allowed(now, quiet, between, zone)
        # a window of which nothing is left on the day of a change of summer time waits for the next day
        assert allowed(answer.until, quiet, between, zone) or answer.until - now > 2 * DAY
        if answer.until - now < DAY:
            minutes = range((answer.until - now) // MINUTE)
            early = [m for m in minutes if allowed(now + m * MINUTE, quiet, between, zone)]
            assert len(early) <= 60, "an hour that comes twice may be waited for, nothing more"
    elif isinstance(answer, SendNow):
        assert allowed(now, quiet, between, zone)


CAPS = st.builds(
    Cap, st.integers(0, 3), st.sampled_from(["day", "week", DAY, 7 * DAY, 12 * HOUR]), st.sampled_from([None, "sms", "push"]),
    st.sampled_from([None, "marketing"]), st.sampled_from([None, None, "pickup"]),
)  # fmt: skip
SENDS = st.tuples(
    st.integers(0, 6 * HOUR), st.sampled_from(["sms", "push"]), st.sampled_from(["marketing", "service"]), st.sampled_from([None, "pickup"])
)


@given(caps=st.lists(CAPS, max_size=3), sends=st.lists(SENDS, max_size=60), zone=st.sampled_from(ZONES), start=INSTANTS)
def test_however_sends_come_no_cap_is_ever_exceeded(caps, sends, zone, start):
    person = replace(PERSON, zone=zone, touches=[])
    now = start

    for gap, channel, purpose, topic in sends:
        now += gap
        if isinstance(may_send(capped(*caps), person, Sending(channel, None, purpose, topic, None, None), now), SendNow):
            person.touches.append(Touch(now, channel, purpose, topic))

    for cap in caps:
        counted = [t for t in person.touches if cap.covers(t.channel, t.purpose, t.topic) and cap.applies(t.purpose, t.topic)]
        for touch in counted:
            if cap.per == "day":
                window = [t for t in counted if day_start(t.at, zone) == day_start(touch.at, zone)]
            elif cap.per == "week":
                window = [t for t in counted if week_start(t.at, zone) == week_start(touch.at, zone)]
            else:
                window = [t for t in counted if touch.at - cap.per < t.at <= touch.at]
            assert len(window) <= cap.most


@given(
    now=INSTANTS,
    said=st.dictionaries(
        st.sampled_from(["push", "sms"]), st.booleans() | st.dictionaries(st.sampled_from(["marketing", "service"]), st.booleans())
    ),
)
def test_nobody_is_sent_marketing_without_having_said_yes(now, said):
    person = saying(**said)

    answer = may_send(Rules(), person, SEND, now)

    push = said.get("push")
    yes = push is True or (isinstance(push, dict) and push.get("marketing") is True)
    assert isinstance(answer, SendNow) == yes
    assert (can_reach(person, "push", None, "marketing") is None) == yes
