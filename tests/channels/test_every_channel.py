"""One suite for every channel: what the ledger relies on, whatever the vendor does."""

import contextlib
import socket
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.http import Http
from channels.loopback.server import FAULTS, Behaviour, Loopback, Response, Vendor
from channels.message import Accepted, Fault, Key, Rejected, RetryLater, Unknown
from tests.channels import benefit_cases, sms_cases, wechat_push_cases

CASES = [*benefit_cases.CASES, *sms_cases.CASES, *wechat_push_cases.CASES]
DEFINITE = (Rejected, RetryLater, Fault)
each_channel = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


class Babbler(Vendor):
    """Answers 200 and whatever it is told to; takes nothing."""

    body = b""

    def answer(self, request):
        return Response(200, self.body)


@contextlib.contextmanager
def opened(case, url, *, wrong_secret=False):
    channel = (case.open_with_wrong_secret if wrong_secret else case.open)(url)
    for kept in vars(channel).values():
        if isinstance(kept, Http):
            kept.timeout = 0.4  # every hang is waited for
    try:
        yield channel
    finally:
        if hasattr(channel, "close"):
            channel.close()


def message_of(case, channel):
    """The case's message, with a fresh key of the vendor's where it hands them out."""
    keys = channel.new_keys(1) if hasattr(channel, "new_keys") else ()
    return replace(case.message, vendor_key=keys[0]) if keys and not isinstance(keys, Fault) else case.message


@each_channel
def test_a_good_message_is_accepted_and_taken_once(case):
    with Loopback(case.vendor()) as server, opened(case, server.url) as channel:
        outcome = channel.send(message_of(case, channel))

        assert isinstance(outcome, Accepted)
        assert len(server.vendor.taken) == 1


@each_channel
def test_a_wrong_secret_is_never_accepted_and_nothing_is_taken(case):
    with Loopback(case.vendor()) as server, opened(case, server.url, wrong_secret=True) as channel:
        outcome = channel.send(message_of(case, channel))

        assert not isinstance(outcome, Accepted)
        assert server.vendor.taken == []


@each_channel
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_the_vendor_does_the_outcome_is_never_false(case, fault):
    with Loopback(case.vendor()) as server, opened(case, server.url) as channel:
        attempt = message_of(case, channel)
        server.behaviour = Behaviour(faults={fault: 1.0})
        outcome = channel.send(attempt)

        if isinstance(outcome, Accepted):
            assert len(server.vendor.taken) == 1
        if isinstance(outcome, DEFINITE):
            assert server.vendor.taken == []
        if fault.startswith("accept_then_"):
            assert len(server.vendor.taken) == 1
            assert isinstance(outcome, Unknown | Accepted)
        else:
            assert not isinstance(outcome, Accepted)
        if fault == "flow_control":
            assert isinstance(outcome, RetryLater)
            assert outcome.after > 0


@each_channel
def test_nobody_listening_means_later_and_the_whole_channel(case):
    with Loopback(case.vendor()) as server, opened(case, server.url) as channel:
        attempt = message_of(case, channel)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with opened(case, f"http://127.0.0.1:{closed.getsockname()[1]}") as channel:
            outcome = channel.send(attempt)

    assert isinstance(outcome, RetryLater)
    assert outcome.whole_channel


@each_channel
def test_random_bytes_with_a_200_never_raise_and_are_never_a_yes(case):
    with Loopback(case.vendor()) as server, opened(case, server.url) as channel:
        attempt = message_of(case, channel)
        babbler, server.vendor = Babbler(), _Half(server.vendor)

        @settings(max_examples=40)
        @given(
            st.binary(max_size=300) | st.text(max_size=80).map(str.encode) | st.sampled_from([b"{}", b"[]", b"null", b"0", b'""', b"[{}]"])
        )
        def answers(body):
            babbler.body = body
            server.vendor.sends = babbler

            outcome = channel.send(attempt)

            assert isinstance(outcome, Unknown)

        answers()


class _Half(Vendor):
    """A vendor whose tokens and queries are real, and whose answers to sends are another's."""

    def __init__(self, real):
        super().__init__()
        self.real, self.sends = real, real

    def is_send(self, request):
        return self.real.is_send(request)

    def answer(self, request):
        return (self.sends if self.real.is_send(request) else self.real).answer(request)


@each_channel
def test_a_repeat_with_the_same_key_leaves_one(case):
    with Loopback(case.vendor()) as server, opened(case, server.url) as channel:
        if not isinstance(channel.guarantee, Key):
            return
        attempt = message_of(case, channel)
        server.behaviour = Behaviour(faults={"accept_then_cut": 1.0})
        first = channel.send(attempt)
        server.behaviour = Behaviour()
        second = channel.send(attempt)

        assert isinstance(first, Unknown)
        assert isinstance(second, Accepted)
        assert len(server.vendor.taken) == 1


@each_channel
def test_no_secret_and_no_address_is_shown(case):
    with Loopback(case.vendor()) as server, opened(case, server.url) as channel, opened(case, server.url, wrong_secret=True) as wrong:
        attempt = message_of(case, channel)
        outcomes = [channel.send(attempt), wrong.send(attempt)]
        server.behaviour = Behaviour(faults={"accept_then_html": 1.0})
        outcomes.append(channel.send(attempt))

    shown = repr([channel, wrong, outcomes, attempt])
    private = [attempt.address, *_texts(attempt.content), *(text for kept in (channel, wrong) for text in _secrets(kept))]
    assert not [text for text in private if text and text in shown]


def _texts(value):
    """What the person would read."""
    if isinstance(value, str):
        return [value] if len(value) > 7 else []
    return [
        text for part in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()) for text in _texts(part)
    ]


def _secrets(channel):
    """The values of attributes that are named for secrets."""
    named = {k: v for k, v in vars(channel).items() if any(word in k for word in ("secret", "private_key", "token", "password"))}
    return [value for value in named.values() if isinstance(value, str) and len(value) > 7]


@each_channel
def test_every_channel_states_its_guarantee_and_how_long_it_takes_at_most(case):
    with Loopback(case.vendor()) as server, opened(case, server.url) as channel:
        assert type(channel.guarantee).__name__ in ("Key", "Query", "Neither")
        assert isinstance(channel.one_at_a_time, bool)
        assert 0 < channel.timeout < 60_000  # shorter than the ledger's cut-off
