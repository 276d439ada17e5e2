"""A stand-in of Twilio's messages: checks the credentials, the form, the number and the sender, and knows what it took."""

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from channels.loopback.server import Response, Seen, Taken, Vendor

NUMBER = re.compile(r"\+[1-9]\d{7,14}")
LONGEST = 1600


class TwilioVendor(Vendor):
    """`senders`: the account's numbers and messaging services. `refusals`: a number (+8613800138000) and the code it is answered with.

    `taken` has our key where the StatusCallback's query names it, else "": Twilio itself is told no key.
    """

    name = "twilio"

    def __init__(self, *, account_sid: str, auth_token: str, senders: Collection[str]) -> None:
        super().__init__()
        self._sid, self._token, self._senders = account_sid, auth_token, senders
        self.refusals: dict[str, tuple[int, str]] = {}

    def is_send(self, request: Seen) -> bool:
        """Only a new message is one; the account is read with GET."""
        return request.method == "POST" and request.path.endswith("/Messages.json")

    def flow_control(self) -> Response:
        """Too many requests at once."""
        return _error(429, 20429, "Too Many Requests", {"Retry-After": "1"})

    def take(self, key: str, address: str, content: Mapping[str, Any]) -> str:
        """Accept a message; the reference looks like Twilio's own."""
        sid = "SM" + hashlib.blake2b(f"{self._sid}:{len(self.taken)}".encode(), digest_size=16).hexdigest()
        self.taken.append(Taken(key, sid, address, content))
        return sid

    def answer(self, request: Seen) -> Response:
        """The answer to one request."""
        wanted = "Basic " + base64.b64encode(f"{self._sid}:{self._token}".encode()).decode()
        if not hmac.compare_digest(wanted.encode(), request.headers.get("authorization", "").encode()):
            return self.refuse("credentials", _error(401, 20003, "Authenticate"))
        if request.method == "GET" and request.path == f"/2010-04-01/Accounts/{self._sid}.json":
            return Response(200, {"sid": self._sid, "friendly_name": "loopback", "status": "active", "type": "Full"})
        if request.method == "POST" and request.path == f"/2010-04-01/Accounts/{self._sid}/Messages.json":
            return self._send(request)
        return self.refuse("path", _error(404, 20404, f"The requested resource {request.path} was not found"))

    def _send(self, request: Seen) -> Response:
        form = request.form()
        if request.headers.get("content-type") != "application/x-www-form-urlencoded":
            return self._no(21604, "The body is no form")
        to, body, sender = form.get("To", ""), form.get("Body", ""), form.get("MessagingServiceSid") or form.get("From", "")
        checks = (
            (bool(to), 21604, "A 'To' phone number is required."),
            (bool(sender), 21603, "A 'From' phone number is required."),
            (bool(body), 21602, "Message body is required."),
            (bool(NUMBER.fullmatch(to)), 21211, f"The 'To' number {to} is not a valid phone number."),
            (sender in self._senders, 21606, f"The 'From' phone number {sender} is not valid for your account."),
            (sender.startswith("MG") == ("MessagingServiceSid" in form), 21212, "Invalid From Number"),
            (len(body) <= LONGEST, 21617, "The concatenated message body exceeds the 1600 character limit."),
        )
        for good, code, text in checks:
            if not good:
                return self._no(code, text)
        if to in self.refusals:
            return self._no(*self.refusals[to])
        key = parse_qs(urlsplit(form.get("StatusCallback", "")).query).get("key", [""])[0]
        sid = self.take(key, to, {"body": body, "sender": sender})
        answer = {"sid": sid, "account_sid": self._sid, "to": to, "body": body, "status": "queued", "error_code": None}
        return Response(201, answer | {"from": None if sender.startswith("MG") else sender, "direction": "outbound-api"})

    def _no(self, code: int, text: str) -> Response:
        return self.refuse(str(code), _error(400, code, text))


def _error(status: int, code: int, text: str, headers: dict[str, str] | None = None) -> Response:
    body = {"code": code, "message": text, "more_info": f"https://www.twilio.com/docs/errors/{code}", "status": status}
    return Response(status, body, headers or {})
