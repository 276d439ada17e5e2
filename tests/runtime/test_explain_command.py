"""`journeyd explain`: whom and what it takes, its exit codes, its data."""

import json
import shlex

import pytest

from tests.shop import HELLO, Shop
from tests.town import HOUR, NOON, journey_text

PUSH = "send: [{push: {title: T, body: B}}]"


@pytest.fixture
def lived_in(tmp_path):
    """A project whose database knows one user who was written to, and one who was refused."""
    shop = Shop(tmp_path / "shop", HELLO, journey_text("- id: rest\n  delay: 1d", id="resting", name="歇一歇", entry="{api: true}"))
    shop.welcome("u1", "u2")
    shop.post({"user_id": "u1", "identities": {"phone": "13900000001"}}, "/v1/users")
    shop.post({"id": "e1", "type": "app_opened", "user_id": "u1"})
    shop.settle(NOON + HOUR)
    (message,) = shop.story().messages
    shop.close()
    return shop.folder, message


def test_a_phone_finds_its_user_and_says_so_on_stderr(call, lived_in):
    code, out, err = call("explain", "139 0000 0001", "--config", lived_in[0])

    assert (code, err) == (0, "139 0000 0001 (phone) is u1\n")
    assert "The story of u1" in out


def test_one_journey_is_named_as_an_argument_or_as_an_option(call, lived_in):
    named = call("explain", "u1", "resting", "--config", lived_in[0])
    option = call("explain", "u1", "--journey", "hello", "--config", lived_in[0])

    assert "hello" not in named[1]
    assert "hello · J · v1" in option[1]


@pytest.mark.parametrize("name", ["key", "vendor_key", "reference"])
def test_a_message_is_explained_by_any_of_its_names(call, lived_in, name):
    folder, message = lived_in
    wanted = message["key"] if name == "key" else message["attempted"][0][name]

    code, out, _ = call("explain", wanted, "--json", "--config", folder)

    assert (code, json.loads(out)["message"]["key"]) == (0, message["key"])
    assert f"Message {message['key']}" in call("explain", wanted, "--config", folder)[1]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["u"], 1, "nobody has the id u; do you mean u1, u2?\n"),
        (
            ["nobody"],
            1,
            "nobody is neither a user (id, former id, phone, openid or other identity) nor a message (its key, a vendor's key or id)\n",
        ),
        (["u1", "helo"], 1, "there is no journey helo, did you mean hello?\n"),
        (["u1", "zzz"], 1, "there is no journey zzz\n"),
        (["u1", "歇一歇"], 1, "there is no journey 歇一歇, did you mean resting?\n"),
        ([], 2, "whose story? a user or a message; or --journey JOURNEY for those who entered it\n"),
        (["u1", "hello", "--journey", "resting"], 2, "expected one journey: hello and resting were given\n"),
        (["u1", "--why-not"], 2, "--why-not needs a user and a journey: journeyd explain u1 win_back_30d --why-not\n"),
        (["u1", "hello", "--why-not", "--since", "2026-12-01"], 2, "--since is for stories: --why-not looks at everything that is kept\n"),
        (["u1", "--since", "soon"], 2, "--since: expected a day or time such as 2026-12-01 or 2026-12-01T18:00, found soon\n"),
    ],
)
def test_what_cannot_be_answered_is_said_with_what_to_do(call, lived_in, arguments, code, said):
    assert call("explain", *arguments, "--config", lived_in[0]) == (code, "", said)


def test_whose_story_is_asked_in_the_project_s_language(call, lived_in, monkeypatch):
    monkeypatch.setenv("JOURNEYD_LANGUAGE", "zh")

    asked = "要看谁的经过？写用户或消息；或用 --journey 旅程 看谁进来过\n"
    assert call("explain", "--config", lived_in[0]) == (2, "", asked)


def test_as_data_nobody_is_a_story_without_anything(call, lived_in):
    code, out, err = call("explain", "u", "--json", "--config", lived_in[0])

    told = json.loads(out)
    assert (code, told["known"], told["alike"], told["messages"], told["who"]) == (1, False, ["u1", "u2"], [], None)
    assert err == "nobody has the id u; do you mean u1, u2?\n"


def test_a_message_is_no_user(call, lived_in):
    folder, message = lived_in

    code, _, err = call("explain", message["key"], "hello", "--config", folder)

    assert (code, err) == (2, f"{message['key']} is a message; journey, --why-not and --since are for users\n")


def test_a_file_that_was_never_applied_lets_nobody_in(call, lived_in):
    (lived_in[0] / "journeys" / "planned.yaml").write_text(journey_text("- id: rest\n  delay: 1d", id="planned", entry="{api: true}"))

    code, _, err = call("explain", "u1", "planned", "--why-not", "--config", lived_in[0])

    assert (code, "planned is a file that was never applied" in err) == (1, True)


def test_why_not_is_told_and_is_data(call, lived_in):
    shown = call("explain", "u2", "hello", "--why-not", "--config", lived_in[0])
    told = json.loads(call("explain", "u2", "hello", "--why-not", "--json", "--config", lived_in[0])[1])

    assert (shown[0], "Why did u2 get no message by hello J?" in shown[1]) == (0, True)
    assert (told["verdict"], [r["code"] for r in told["now"]["entry"]]) == ("never", ["status", "event"])


def test_the_data_of_a_story_says_whom_was_asked_for_and_how_she_was_found(call, lived_in):
    told = json.loads(call("explain", "+8613900000001", "--json", "--config", lived_in[0])[1])

    assert (told["asked"], told["found_by"], told["user_id"], told["known"]) == ("+8613900000001", "phone", "u1", True)
    assert told["who"]["consents"]["push"]["marketing"] == "yes"


def test_who_entered_a_journey_is_listed_the_newest_first_with_what_each_got(call, lived_in):
    code, out, _ = call("explain", "--journey", "hello", "--config", lived_in[0])
    rows = [line.split() for line in out.splitlines()]

    assert (code, rows[0], rows[1][0]) == (0, ["user", "entered", "where", "now", "got"], "u1")
    assert "ended: all steps are done" in out
    assert out.splitlines()[1].endswith("hello (push)")
    data = json.loads(call("explain", "--journey", "hello", "--json", "--config", lived_in[0])[1])
    assert (data["journey"], data["entered"]) == ("hello", 1)
    assert [(row["user_id"], row["subject"], row["version"], row["ended_by"], row["got"]) for row in data["enrolments"]] == [
        ("u1", None, 1, "completed", [{"step": "hello", "kind": "message", "channel": "push", "state": "ACCEPTED", "n": 1}])
    ]


def test_who_was_not_sent_something_is_in_the_list_with_the_reason(call, tmp_path):
    shop = Shop(tmp_path / "shop", HELLO)
    shop.welcome("u1")
    shop.post({"user_id": "u1", "consents": {"push": {"marketing": False, "service": False}}}, "/v1/users")
    shop.post({"id": "o", "type": "app_opened", "user_id": "u1"})
    shop.settle()
    shop.close()

    out = call("explain", "--journey", "hello", "--config", shop.folder)[1]
    data = json.loads(call("explain", "--journey", "hello", "--json", "--config", shop.folder)[1])

    assert "hello: not sent, push: she has not agreed to such messages on this channel" in out
    assert data["enrolments"][0]["not_sent"] == [{"step": "hello", "reason": "no_consent", "positions": [["push", "no_consent"]]}]


@pytest.mark.parametrize("ended", [False, True])
def test_whoever_is_or_was_held_out_is_told_as_such_and_not_as_one_who_got_no_message_for_buying(call, tmp_path, ended):
    held = journey_text(
        f"- id: w\n  delay: 1d\n- id: a\n  {PUSH}",
        id="h",
        entry="{event: app_opened}",
        holdout="100%",
        goal="{event: order_paid, within: 14d}",
    )
    shop = Shop(tmp_path / "shop", held)
    shop.welcome("u1")
    shop.post({"id": "o", "type": "app_opened", "user_id": "u1"})
    shop.settle()
    if ended:
        shop.clock.set(NOON + HOUR)
        shop.post({"id": "p", "type": "order_paid", "user_id": "u1"})
        shop.settle()
    shop.close()

    listed = call("explain", "--journey", "h", "--config", shop.folder)[1].splitlines()[1]
    rows = json.loads(call("explain", "--journey", "h", "--json", "--config", shop.folder)[1])["enrolments"]
    why_not = call("explain", "u1", "h", "--why-not", "--config", shop.folder)[1]
    story = json.loads(call("explain", "u1", "--json", "--config", shop.folder)[1])

    assert "she is in the hold-out: measured, never messaged" in listed
    assert ("she reached the goal" in listed) == ended
    assert [row["held_out"] for row in rows] == [True]
    assert "She entered, and is in the hold-out: measured, never messaged." in why_not
    assert "entered the hold-out (measured, never messaged): event app_opened" in why_not
    assert [one["held_out"] for one in story["enrolments"]] == [True]


def test_why_not_says_what_she_was_given_without_a_message(call, tmp_path):
    gift = journey_text(f"- {{id: gift, grant: {{benefit: gift}}}}\n- id: a\n  {PUSH}", id="g", entry="{event: app_opened}")
    shop = Shop(tmp_path / "shop", gift)
    shop.post({"id": "o", "type": "app_opened", "user_id": "u1"})
    shop.settle()
    shop.close()

    lines = call("explain", "u1", "g", "--why-not", "--config", shop.folder)[1].splitlines()

    assert "She was inside (1×) and got no message. What decided:" in lines
    assert "She was given gift (benefit gift)." in lines


def test_the_list_of_those_who_entered_begins_at_a_day_and_why_not_is_for_one_user(call, lived_in):
    later = call("explain", "--journey", "hello", "--since", "2099-01-01", "--config", lived_in[0])
    why_not = call("explain", "--journey", "hello", "--why-not", "--config", lived_in[0])

    assert later[:2] == (0, "nobody has entered hello\n")
    assert (why_not[0], "needs a user and a journey" in why_not[2]) == (2, True)


def test_of_more_than_twenty_how_many_more_there_are_is_said(call, tmp_path):
    shop = Shop(tmp_path / "shop", journey_text("- {id: rest, delay: 1d}", id="resting", entry="{event: app_opened}"))
    shop.post([{"id": f"e{n}", "type": "app_opened", "user_id": f"u{n}"} for n in range(23)])
    shop.settle()
    shop.close()

    some = call("explain", "--journey", "resting", "--config", shop.folder)[1].splitlines()
    every = call("explain", "--journey", "resting", "--all", "--config", shop.folder)[1].splitlines()

    assert (len(some), some[-1]) == (22, "… and 3 more of 23; --all lists them")
    assert (len(every), "at rest, until" in every[1]) == (24, True)


def test_a_journey_that_nobody_entered_says_so_and_without_a_journey_it_is_asked_for(call, lived_in):
    assert call("explain", "--journey", "resting", "--config", lived_in[0])[:2] == (0, "nobody has entered resting\n")
    assert call("explain", "--config", lived_in[0])[0] == 2


def test_who_was_never_in_the_journey_that_is_asked_about_is_pointed_to_why_not(call, lived_in):
    out = call("explain", "u2", "resting", "--config", lived_in[0])[1]

    command = out.rpartition("she was never in resting; why not: journeyd ")[2]
    assert command == f"explain u2 resting --why-not --config {lived_in[0]}\n"
    assert call(*shlex.split(command))[0] == 0
