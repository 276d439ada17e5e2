"""The list of those who entered a journey: what each got reads as channels and benefits."""

import io
import re

import pytest
from rich.console import Console

from runtime.show_entrants import entrants
from runtime.store.enquiries import Entrant, Got, Missed
from runtime.store.movements import Pause
from runtime.wording import Wording
from tests.town import DAY, NOON, ZONE

GOT = [
    Got("reserve", "call", "stock", "ACCEPTED", 1),
    Got("gift", "grant", "gift", "ACCEPTED", 1),
    Got("tell", "message", "sms", "DELIVERED", 2),
    Got("again", "message", "push", "SUPPRESSED", 1),
]


def listed(one, language="en"):
    out = io.StringIO()
    entrants(Console(file=out, width=200), "j", [one], 1, Wording(language, ZONE))
    return out.getvalue().splitlines()[1].rstrip()


def entrant(status="live", state="rest", due_at=NOON + DAY, ended_by=None, got=(), subject="", missed=()):
    return Entrant("u1", subject, 3, NOON, status, state, due_at, None, ended_by, None, list(got), list(missed))


def test_a_call_gave_her_nothing_and_of_a_message_the_vendor_took_no_more_is_said():
    line = listed(entrant(got=GOT))

    assert line.endswith("at rest, until 2026-12-02 12:00  gift (benefit gift); tell (SMS) ×2; again (push): not sent")


def test_what_she_was_not_sent_stands_beside_it_with_its_reason_once_however_often():
    line = listed(entrant(got=GOT[1:2], missed=[Missed("tell", "no_consent"), Missed("tell", "no_consent"), Missed("late_one", "late")]))

    assert line.endswith(  # and "(max_lateness)" stands in the next line
        "  gift (benefit gift); tell: not sent, she has not agreed to such messages on this channel; "
        "late_one: not sent, it had fallen too far behind"
    )


def test_of_a_list_of_channels_each_has_its_own_reason():
    missed = Missed("tell", "no_consent", (("sms", "no_consent"), ("push", "cap")))

    assert listed(entrant(missed=[missed])).endswith(
        "  tell: not sent, SMS: she has not agreed to such messages on this channel, push: a cap is used up"
    )


def test_it_reads_in_chinese():
    assert listed(entrant(got=GOT), "zh").endswith("gift（权益 gift）；tell（短信） ×2；again（推送）：没有发")


@pytest.mark.parametrize(
    ("one", "where"),
    [
        (entrant(due_at=None), "at rest"),
        (entrant("ended", "$ended", None, "no_coupon_needed"), "ended: no_coupon_needed"),
        (entrant("held_out", "$held_out"), "she is in the hold-out: measured, never messaged"),
    ],
)
def test_where_she_is_or_how_it_ended_is_said(one, where):
    assert re.split(" {2,}", listed(one)) == ["u1", "2026-12-01 12:00", where, "–"]


def test_what_she_entered_for_stands_beside_her_id():
    assert listed(entrant(subject="o-1")).startswith("u1 for o-1  ")


def test_that_nobody_moves_while_the_journey_is_paused_stands_above_the_list():
    out = io.StringIO()

    entrants(Console(file=out, width=200), "j", [entrant()], 1, Wording("en", ZONE), Pause("j", NOON, "me", "wrong coupon"))

    assert out.getvalue().splitlines()[0] == "j is paused since 2026-12-01 12:00 by me “wrong coupon”"
