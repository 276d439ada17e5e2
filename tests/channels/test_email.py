import datetime as dt
import email
import email.policy
import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.email import SmtpEmail, raw_of
from channels.loopback.smtp import FAULTS, SmtpVendor
from channels.message import Accepted, Diagnosable, Fault, Neither, Rejected, RetryLater, Unknown
from tests.channels.benefit_cases import self_signed
from tests.channels.cases import NOW, message

USER, PASSWORD, LIN = "postmaster@garden.example", "correct horse battery", "lin@mail.example"
SENDER = "花园小店 <hello@garden.example>"
KEY = "0123456789abcdef" * 2


def note(address=LIN, subject="您的自提码", body="今晚七点前来取。\n.\n..点开头\n", **changes):
    return message("email", address, {"subject": subject, "body": body}, key=KEY, **changes)


def channel(port, **changes):
    values = {
        "host": "127.0.0.1", "port": port, "security": "none", "username": USER, "password": PASSWORD, "sender": SENDER,
        "unsubscribe": "https://shop.example/unsubscribe?u={user}", "clock": lambda: NOW, "timeout": 0.5,
    }  # fmt: skip
    return SmtpEmail(**values | changes)


@pytest.fixture
def server():
    with SmtpVendor(USER, PASSWORD) as vendor:
        yield vendor


def read(vendor):
    return email.message_from_string(vendor.taken[-1].content["raw"], policy=email.policy.default)


def test_a_message_arrives_whole_in_utf8_with_the_headers_that_mailboxes_want(server):
    outcome = channel(server.port).send(note())

    arrived = read(server)
    assert outcome == Accepted(f"<{KEY}@garden.example>")
    assert server.taken[0].key == KEY
    assert server.taken[0].address == LIN
    assert arrived["Subject"] == "您的自提码"
    assert arrived["From"] == SENDER
    assert arrived["To"] == LIN
    assert arrived["Date"].datetime == dt.datetime.fromtimestamp(NOW / 1000, dt.UTC)
    assert arrived["List-Unsubscribe"] == "<https://shop.example/unsubscribe?u=u1>"
    assert arrived["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert arrived.get_content().replace("\r\n", "\n") == "今晚七点前来取。\n.\n..点开头\n"


def test_a_mailto_to_unsubscribe_has_no_one_click(server):
    channel(server.port, unsubscribe="mailto:leave@garden.example?subject={user}").send(note())

    assert read(server)["List-Unsubscribe"] == "<mailto:leave@garden.example?subject=u1>"
    assert read(server)["List-Unsubscribe-Post"] is None


def test_a_long_url_to_unsubscribe_is_not_folded_into_encoded_words(server):
    url = "https://shop.example/" + "a" * 200 + "?u={user}"

    channel(server.port, unsubscribe=url).send(note())

    assert f"List-Unsubscribe: <{url.replace('{user}', 'u1')}>\r\n" in server.taken[0].content["raw"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_nothing_in_a_text_adds_a_header_or_a_recipient(subject, body):
    injected = f"{subject}\r\nBcc: thief@evil.example\r\n\r\n{body}"

    raw = raw_of(note(subject=injected, body=injected), SENDER, "mailto:leave@garden.example", NOW)

    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert parsed.keys() == [
        "List-Unsubscribe", "From", "To", "Subject", "Date", "Message-ID", "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
    ]  # fmt: skip
    assert raw.isascii()


@pytest.mark.parametrize(
    "address", ["", "lin", "a b@c.example", "a@c.example\r\nRCPT TO:<b@c.example>", "a@c.example>,<b@c.example", "林@c.example"]
)
def test_an_address_that_is_none_never_reaches_the_server(server, address):
    outcome = channel(server.port).send(note(address))

    assert outcome == Rejected("bad_address", "not an e-mail address", "address")
    assert server.logins == []


@pytest.mark.parametrize(
    ("reply", "expected", "blames"),
    [
        ("550 5.1.1 no such user", Rejected, "address"),
        ("551 5.1.6 user has moved", Rejected, "address"),
        ("553 5.1.3 bad mailbox", Rejected, "address"),
        ("550 5.7.1 blocked as spam", Rejected, "message"),  # our fault, not the address's
        ("552 5.2.2 mailbox full", Rejected, "message"),
        ("450 4.2.1 greylisted", RetryLater, None),
        ("421 4.3.2 shutting down", RetryLater, None),
        ("what?", RetryLater, None),
    ],
)
def test_a_refused_recipient_is_a_definite_answer(server, reply, expected, blames):
    server.refusals[LIN] = reply

    outcome = channel(server.port).send(note())

    assert isinstance(outcome, expected)
    assert getattr(outcome, "blames", None) == blames
    assert server.taken == []
    assert isinstance(channel(server.port).send(note("wang@mail.example")), Accepted)


def test_only_a_server_that_closes_holds_the_whole_channel(server):
    server.refusals |= {LIN: "421 4.3.2 shutting down", "wang@mail.example": "450 4.2.1 greylisted"}

    assert channel(server.port).send(note()).whole_channel
    assert not channel(server.port).send(note("wang@mail.example")).whole_channel


def test_a_reply_that_names_the_address_is_not_repeated(server):
    server.refusals[LIN] = f"550 5.1.1 <{LIN}> unknown, was LIN@mail.example"

    outcome = channel(server.port).send(note())

    assert outcome == Rejected("550", "550 5.1.1 <…> unknown, was …", "address")


def test_a_wrong_password_is_the_channels_fault(server):
    outcome = channel(server.port, password="wrong").send(note())

    assert isinstance(outcome, Fault)
    assert outcome.code == "535"
    assert server.taken == []
    assert "wrong" not in repr(outcome).replace("wrong username", "")


@pytest.mark.parametrize("fault", FAULTS)
def test_before_the_message_it_is_later_and_after_it_nobody_can_tell(server, fault):
    server.fault = fault

    outcome = channel(server.port).send(note())

    before = fault in ("cut_at_once", "babble_at_once", "cut_before_data", "flow_control")
    assert isinstance(outcome, RetryLater if before else Unknown)
    assert len(server.taken) == fault.startswith("accept_then_")


def test_nobody_listening_means_later_and_the_whole_channel():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))

        outcome = channel(closed.getsockname()[1]).send(note())

    assert isinstance(outcome, RetryLater)
    assert outcome.whole_channel


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1, signed by itself: (its file, a server's context)."""
    files = self_signed(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return files[0], context


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_speaks_tls_to_a_server_whose_certificate_is_trusted(certificate, monkeypatch, security):
    file, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with SmtpVendor(USER, PASSWORD, tls=context, implicit=security == "tls") as server:
        outcome = channel(server.port, security=security).send(note())

    assert isinstance(outcome, Accepted)
    assert len(server.taken) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_untrusted_certificate_never_sees_the_password(certificate, security):
    with SmtpVendor(USER, PASSWORD, tls=certificate[1], implicit=security == "tls") as server:
        outcome = channel(server.port, security=security).send(note())

    assert isinstance(outcome, Fault)
    assert outcome.code == "tls"
    assert server.logins == []


def test_a_server_without_starttls_never_sees_the_password(server):
    outcome = channel(server.port, security="starttls").send(note())

    assert isinstance(outcome, Fault)
    assert server.logins == []


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "mail.example"},  # security none elsewhere
        {"sender": "no address"},
        {"unsubscribe": "http://shop.example/u"},
        {"unsubscribe": "https://shop.example/>\r\nBcc: <x"},
    ],
)
def test_a_configuration_that_cannot_be_right_is_refused(changes):
    with pytest.raises(ValueError):
        channel(25, **changes)


def test_it_promises_nothing_about_doubles_and_shows_no_secret(server):
    made = channel(server.port)

    assert made.guarantee == Neither()
    assert isinstance(made.look_up(note()), Unknown)
    assert not [secret for secret in (PASSWORD, LIN, "自提码") if secret in repr([made, made.send(note()), note()])]


def test_a_diagnosis_logs_in_and_sends_nothing(server):
    made = channel(server.port)

    assert isinstance(made, Diagnosable)
    (fine,), (wrong,) = made.diagnose(), channel(server.port, password="no").diagnose()
    assert (fine.ok, fine.found) == (True, "logs in")
    assert not wrong.ok
    assert "password" in wrong.cure
    assert server.taken == []
