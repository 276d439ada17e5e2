"""Twilio programmable messaging (2010-04-01).

Twilio keeps no templates for text messages: the text itself is configured as the template's `id`, with {name} where a value goes.
Its API has no idempotency key, and its list of messages is searched by number and day only: of two that read alike nobody can tell
which is ours. So an attempt without an answer is never repeated. The StatusCallback carries our own key in its URL, though: a receipt
settles such an attempt when it comes.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urlencode, urlsplit, urlunsplit

from channels.http import Answer, Http, Lost, NotSent
from channels.message import (
    Accepted,
    Callback,
    Clock,
    Diagnosis,
    Forged,
    Guarantee,
    Heard,
    Message,
    Neither,
    Outcome,
    Receipt,
    Rejected,
    Reply,
    RetryLater,
    Unknown,
    VendorTemplate,
)
from channels.sms.filling import Filled, filled, without_numbers
from channels.sms.numbers import mobile_number
from channels.sms.pushes import text_of
from channels.sms.twilio_codes import CONSENT, RECEIPT_ADDRESS, outcome

HEARD = "<Response/>"  # no TwiML verb: Twilio answers nothing to the person
PLACEHOLDER = re.compile(r"\{(\w+)\}")
FINAL = {"delivered": True, "undelivered": False, "failed": False}  # queued, sending, sent and the like are on the way
SID = re.compile(r"(?:SM|MM)[0-9a-f]{32}")


class TwilioSms:
    """Sends through Messages.json. `sender` is a number in E.164 or a messaging service (MG…)."""

    guarantee: Guarantee = Neither()
    one_at_a_time = False

    def __init__(
        self, *, account_sid: str, auth_token: str, sender: str, templates: Mapping[str, VendorTemplate],
        clock: Clock,  # noqa: ARG002 - every adapter is given one; Twilio signs no time
        base_url: str = "https://api.twilio.com", status_callback: str = "", timeout: float = 5.0,
    ) -> None:  # fmt: skip
        self._sid, self._token, self._sender, self._templates = account_sid, auth_token, sender, templates
        self._status_callback = status_callback
        self._http = Http(base_url, timeout=timeout)
        self.timeout = self._http.longest

    def send(self, message: Message) -> Outcome:
        """Hand one message over."""
        number = mobile_number(message.address)
        if number is None:
            return Rejected("bad_number", "not a mobile number", blames="address")
        text = filled(message.content, self._templates)
        if not isinstance(text, Filled):
            return text
        body = body_of(text)
        if isinstance(body, Rejected):
            return body
        form = send_form(number, self._sender, body, callback_for(self._status_callback, message.key))
        headers = self._headers() | {"Content-Type": "application/x-www-form-urlencoded"}
        path = f"/2010-04-01/Accounts/{quote(self._sid, safe='')}/Messages.json"
        return sent(self._http.request("POST", path, body=urlencode(form).encode(), headers=headers))

    def look_up(self, message: Message) -> Unknown:  # noqa: ARG002 - the protocol's
        """Unknown: a message is identified by the vendor's own id only, which a lost answer took with it."""
        return Unknown("Twilio identifies a message by its own id only")

    def hear(self, callback: Callback) -> Heard | Forged:
        """Status callbacks and inbound messages, both signed with the auth token."""
        form = form_of(callback.body)
        if form is None:
            return Forged("the body is no form")
        said = callback.headers.get("x-twilio-signature", "")
        good = [hmac.compare_digest(signature(self._token, url, form).encode(), said.encode()) for url in urls(callback.url)]
        if not any(good):
            return Forged("X-Twilio-Signature is not of this URL, form and auth token")
        values = {name: texts[-1] for name, texts in form.items()}
        read = read_callback(values, callback.query.get("key", ""))
        if isinstance(read, Receipt):
            return Heard(receipts=(read,), answer=HEARD, media_type="text/xml")
        if isinstance(read, Reply):
            return Heard(replies=(read,), answer=HEARD, media_type="text/xml")
        return Heard(problems=(read,) if read else (), answer=HEARD, media_type="text/xml")

    def diagnose(self) -> list[Diagnosis]:
        """Reads the account: this proves the keys, and messages nobody. The sender is proven by sending only."""
        found = [self._diagnose_account()]
        if not self._status_callback:
            cure = "set public_url, so that Twilio can be told where receipts go"
            found.append(Diagnosis("Twilio receipts", ok=False, found="no status callback is set: none will come", cure=cure))
        return found

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"{self._sid}:{self._token}".encode()).decode()}

    def _diagnose_account(self) -> Diagnosis:
        what, cure = "Twilio account", "[channels.sms] account_sid and auth_token: console.twilio.com > Account Info"
        answer = self._http.request("GET", f"/2010-04-01/Accounts/{quote(self._sid, safe='')}.json", headers=self._headers())
        if not isinstance(answer, Answer):
            return Diagnosis(what, ok=False, found=f"no answer: {answer.reason}", cure="the network, or base_url")
        body = answer.json() or {}
        if answer.status != 200 or body.get("sid") != self._sid:  # noqa: PLR2004
            return Diagnosis(what, ok=False, found=f"HTTP {answer.status} {text_of(body, 'message')}".strip()[:200], cure=cure)
        if body.get("status") != "active":
            found = f"the account is {text_of(body, 'status')}"
            return Diagnosis(what, ok=False, found=found, cure="console.twilio.com > Billing, or Twilio's support")
        if body.get("type") == "Trial":
            cure = "upgrade: a trial account reaches verified numbers only"
            return Diagnosis(what, ok=False, found="a trial account", cure=cure)
        return Diagnosis(what, ok=True, found="active")


# --- pure


def body_of(text: Filled) -> str | Rejected:
    """The text with its values; what a value says is never read as a placeholder."""
    missing = sorted(set(PLACEHOLDER.findall(text.id)) - set(text.values))
    if missing:
        return Rejected("missing_param", f"no value for {', '.join(missing)}")
    return PLACEHOLDER.sub(lambda found: text.values[found[1]], text.id)


def callback_for(url: str, key: str) -> str:
    """The status callback of one message: `url` with our key in its query, which Twilio signs together with the rest."""
    if not url:
        return ""
    return f"{url}{'&' if '?' in url else '?'}key={quote(key, safe='')}"


def send_form(number: str, sender: str, body: str, status_callback: str) -> dict[str, str]:
    """The form of a new message."""
    form = {"To": number, "MessagingServiceSid" if sender.startswith("MG") else "From": sender, "Body": body}
    return form | ({"StatusCallback": status_callback} if status_callback else {})


def sent(answer: Answer | NotSent | Lost) -> Outcome:
    """What an answer to a new message means. Only 201 with a message's id is an acceptance; what is not understood is Unknown."""
    if isinstance(answer, NotSent):
        return RetryLater(5_000, answer.reason, whole_channel=True)
    if isinstance(answer, Lost):
        return Unknown(answer.reason)
    body = answer.json() or {}
    if answer.status == 201:  # noqa: PLR2004 - created
        sid = body.get("sid")
        return Accepted(sid) if isinstance(sid, str) and SID.fullmatch(sid) else Unknown("201 without a message's id")
    if not 400 <= answer.status < 500:  # noqa: PLR2004 - the server's own failures prove nothing
        return Unknown(f"HTTP {answer.status}")
    code = body.get("code")
    number = code if isinstance(code, int) and not isinstance(code, bool) else 0
    return outcome(answer.status, number, text_of(body, "message"), answer.retry_after(1_000))


def signature(token: str, url: str, form: Mapping[str, list[str]]) -> str:
    """X-Twilio-Signature: base64 of HMAC-SHA1 of the URL, then of every name and value, sorted, without anything between."""
    text = url + "".join(name + value for name in sorted(form) for value in sorted(set(form[name])))
    return base64.b64encode(hmac.new(token.encode(), text.encode("utf-8", "replace"), hashlib.sha1).digest()).decode()


def urls(url: str) -> list[str]:
    """The URL as called, with its port and without it: Twilio's side signs now one, now the other."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return [url]
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    forms = [url, *(urlunsplit(parts._replace(netloc=netloc)) for netloc in (host, f"{host}:{port}"))]
    return list(dict.fromkeys(forms))


def form_of(body: bytes) -> dict[str, list[str]] | None:
    """The fields of a form body; None when it is no text."""
    try:
        return parse_qs(body.decode(), keep_blank_values=True)
    except ValueError:
        return None


def read_callback(values: Mapping[str, str], key: str) -> Receipt | Reply | str:
    """A status callback or an inbound message; "" for a status on the way, a text for what is neither."""
    sid = values.get("MessageSid") or values.get("SmsSid", "")
    if not sid:
        return "no MessageSid"
    status = values.get("MessageStatus") or values.get("SmsStatus", "")
    if "Body" in values and status in {"", "received", "receiving"}:
        address = mobile_number(values.get("From", ""))
        return "a reply without a mobile number" if address is None else Reply(sid, address, values["Body"])
    if not status:
        return "neither a status nor a message"
    if status not in FINAL:
        return ""
    code = values.get("ErrorCode", "")
    reason = without_numbers(values.get("ErrorMessage", ""))[:200]
    return Receipt(FINAL[status], key, sid, code, reason, "message" if FINAL[status] else _blamed(code))


def _blamed(code: str) -> Literal["message", "address", "consent"]:
    number: Any = int(code) if code.isascii() and code.isdigit() else 0
    if number in CONSENT:
        return "consent"
    return "address" if number in RECEIPT_ADDRESS else "message"
