import threading

import pytest

from channels.http import Answer, Lost, NotSent
from channels.message import Accepted, Fault, OwnTokens, RetryLater, Unknown
from channels.wechat.token import StableToken, TokenRefused, errcode, read_token, with_token
from tests.channels.cases import NOW

MINUTE = 60_000


class Bench:
    """A token whose vendor, store and clock the test holds."""

    def __init__(self, *answers):
        self.now, self.answers, self.asked, self.tokens = NOW, list(answers), 0, OwnTokens()
        self.token = self.another()

    def another(self):
        return StableToken(name="wechat:wx1", fetch=self.fetch, tokens=self.tokens, clock=lambda: self.now)

    def fetch(self):
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_the_first_token_is_fetched_and_kept_for_everybody():
    bench = Bench(("T1", 7200))

    assert bench.token.get() == "T1"
    assert bench.tokens.get("wechat:wx1") == ("T1", NOW + 7200 * 1000)


def test_a_second_daemon_uses_what_the_store_holds():
    bench = Bench(("T1", 7200), ("T2", 7200))
    bench.token.get()

    assert bench.another().get() == "T1"
    assert bench.asked == 1


def test_a_token_is_used_until_five_minutes_before_its_end():
    bench = Bench(("T1", 7200), ("T2", 7200))
    bench.token.get()

    bench.now += 115 * MINUTE - 1
    assert bench.token.get() == "T1"
    bench.now += 1
    assert bench.token.get() == "T2"
    assert bench.asked == 2


def test_what_another_daemon_renewed_meanwhile_is_taken_from_the_store():
    bench = Bench(("T1", 7200), ("never", 7200))
    bench.token.get()
    bench.now += 116 * MINUTE
    bench.tokens.put("wechat:wx1", "T2", bench.now + 7200 * 1000)

    assert bench.token.get() == "T2"
    assert bench.asked == 1


def test_a_vendor_that_gives_the_old_token_until_its_end_is_not_asked_at_every_send():
    bench = Bench(("T1", 200))

    assert [bench.token.get() for _ in range(50)] == ["T1"] * 50
    assert bench.asked == 1
    bench.now += 31_000
    bench.token.get()
    assert bench.asked == 2


def test_a_token_that_still_works_is_used_when_no_other_can_be_had():
    bench = Bench(("T1", 7200), RetryLater(5_000, "down", whole_channel=True))
    bench.token.get()
    bench.now += 117 * MINUTE

    assert bench.token.get() == "T1"
    bench.now += 3 * MINUTE
    assert bench.token.get() == RetryLater(5_000, "down", whole_channel=True)


def test_a_refused_token_is_replaced_by_a_new_one():
    bench = Bench(("T1", 7200), ("T2", 7200))
    bench.token.get()

    assert bench.token.refresh_once("T1") == "T2"
    assert bench.token.get() == "T2"
    assert bench.asked == 2


def test_a_refused_token_is_replaced_by_the_stores_when_that_is_another():
    bench = Bench(("T1", 7200), ("never", 7200))
    bench.token.get()
    bench.tokens.put("wechat:wx1", "T2", NOW + 7200 * 1000)

    assert bench.token.refresh_once("T1") == "T2"
    assert bench.asked == 1


def test_a_lifetime_that_no_vendor_gives_is_believed_for_a_day():
    bench = Bench(("T1", 10**30))
    bench.token.get()

    assert bench.tokens.get("wechat:wx1") == ("T1", NOW + 86_400_000)


def many_at_once(n, do):
    barrier, found = threading.Barrier(n), []

    def run():
        barrier.wait()
        found.append(do())

    threads = [threading.Thread(target=run) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return found


def test_many_threads_fetch_one_token():
    bench = Bench(("T1", 7200), ("T2", 7200))

    assert many_at_once(16, bench.token.get) == ["T1"] * 16
    assert bench.asked == 1


def test_many_threads_with_one_refused_token_fetch_one_new_one():
    bench = Bench(("T1", 7200), ("T2", 7200), ("T3", 7200))
    bench.token.get()

    assert many_at_once(16, lambda: bench.token.refresh_once("T1")) == ["T2"] * 16
    assert bench.asked == 2


def test_threads_that_waited_for_a_fetch_that_failed_do_not_queue_to_fail_again():
    everybody_came, looks, asked = threading.Event(), [], []

    def clock():
        looks.append(1)
        if len(looks) == 9:  # each of the eight as it comes, and the one that fetches once more
            everybody_came.set()
        return NOW

    def fetch():
        asked.append(1)
        everybody_came.wait(10)
        return RetryLater(5_000, "slow and down", whole_channel=True)

    token = StableToken(name="t", fetch=fetch, tokens=OwnTokens(), clock=clock)

    assert many_at_once(8, token.get) == [RetryLater(5_000, "slow and down", whole_channel=True)] * 8
    assert len(asked) == 1


# --- posting with a token


def test_a_token_that_works_is_posted_with_once():
    bench, posted = Bench(("T1", 7200)), []

    assert with_token(bench.token, lambda t: posted.append(t) or Accepted("7")) == Accepted("7")
    assert posted == ["T1"]


def test_a_refused_token_is_renewed_and_posted_with_once_more():
    bench = Bench(("T1", 7200), ("T2", 7200))
    posted = []

    def post(token):
        posted.append(token)
        return TokenRefused("42001", "expired") if token == "T1" else Accepted("7")

    assert with_token(bench.token, post) == Accepted("7")
    assert posted == ["T1", "T2"]


def test_a_second_refusal_is_a_fault_and_nothing_more_is_tried():
    bench, posted = Bench(("T1", 7200), ("T2", 7200), ("T3", 7200)), []

    outcome = with_token(bench.token, lambda t: posted.append(t) or TokenRefused("40001", "invalid credential"))

    assert (type(outcome), outcome.code, outcome.scope) == (Fault, "40001", "channel")
    assert posted == ["T1", "T2"]


def test_a_second_post_whose_answer_is_lost_is_unknown():
    bench = Bench(("T1", 7200), ("T2", 7200))

    outcome = with_token(bench.token, lambda t: TokenRefused("42001", "expired") if t == "T1" else Unknown("cut"))

    assert outcome == Unknown("cut")


def test_without_a_token_nothing_is_posted():
    fault = Fault("40125", "invalid appsecret", 1)
    bench, posted = Bench(fault), []

    assert with_token(bench.token, lambda t: posted.append(t) or Accepted()) == fault
    assert posted == []


# --- reading answers


@pytest.mark.parametrize("code", [40001, 40013, 40125, 40164, 41002, 41004, 60020, 89503])
def test_a_refused_appid_or_secret_is_a_fault_of_the_channel(code):
    outcome = read_token(Answer(200, {}, b'{"errcode":%d,"errmsg":"no"}' % code), "appid and secret")

    assert (type(outcome), outcome.code, outcome.scope) == (Fault, str(code), "channel")
    assert "appid and secret" in outcome.reason


@pytest.mark.parametrize("body", [
    b'{"errcode":-1,"errmsg":"system error"}', b'{"errcode":45011,"errmsg":"slow"}', b"<html>502</html>", b"", b"{", b"[]", b"null",
    b'{"access_token":"","expires_in":7200}', b'{"access_token":7,"expires_in":7200}', b'{"access_token":"T"}',
    b'{"access_token":"T","expires_in":"7200"}', b'{"access_token":"T","expires_in":0}', b'{"errcode":0}', b'{"errcode":true}',
    b'{"status":"success","data":{"id":7}}', b"\xff\xfe",
])  # fmt: skip
def test_whatever_else_a_token_endpoint_answers_is_tried_again_later(body):
    outcome = read_token(Answer(200, {}, body), "x")

    assert isinstance(outcome, RetryLater)
    assert outcome.whole_channel


@pytest.mark.parametrize(
    "answer", [NotSent("no connection"), Lost("ReadTimeout"), Answer(503, {}, b'{"access_token":"T","expires_in":7200}')]
)
def test_a_token_endpoint_that_does_not_answer_sent_nothing(answer):
    assert isinstance(read_token(answer, "x"), RetryLater)


@pytest.mark.parametrize(("status", "body", "found"), [
    (200, b'{"errcode":0,"errmsg":"ok"}', (0, "ok")), (200, b'{"errcode":43101}', (43101, "")), (200, b'{"errcode":"0"}', None),
    (200, b'{"errcode":true}', None), (200, b'{"errcode":0.0}', None), (200, b'{"errcode":null}', None), (200, b"[0]", None),
    (500, b'{"errcode":0}', None), (200, b"", None), (200, b'{"errcode":0,"errmsg":{"a":1}}', (0, "{'a': 1}")),
])  # fmt: skip
def test_only_an_integer_errcode_of_a_200_is_an_errcode(status, body, found):
    assert errcode(Answer(status, {}, body)) == found
