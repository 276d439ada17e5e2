"""Stand-ins of the operator's own services: a benefit and an endpoint, as strict about signatures as docs/channels say."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from channels.loopback.server import Response, Seen, Vendor
from channels.message import Clock

TOLERANCE = 300  # seconds, as the reference library of Standard Webhooks
_NEEDED = ("benefit", "key", "user_id", "journey", "step")


class SignedVendor(Vendor):
    """Checks the signature of every POST, and answers an equal webhook-id as it answered the first."""

    def __init__(self, secret: str, clock: Clock) -> None:
        super().__init__()
        self._secret = base64.b64decode(secret.removeprefix("whsec_"))
        self._clock = clock
        self._answered: dict[str, Response] = {}

    def answer(self, request: Seen) -> Response:
        """Verify, then answer once per id."""
        if request.method != "POST":
            return Response(204, b"", {"Allow": "POST, OPTIONS"})
        problem = self._problem(request)
        if problem:
            return self.refuse(problem, Response(401, {"ok": False, "reason": problem}))
        key = request.headers["webhook-id"]
        if key not in self._answered:
            self._answered[key] = self.carry_out(key, request.json())
        return self._answered[key]

    def carry_out(self, key: str, body: Any) -> Response:
        """What the service does, once."""
        raise NotImplementedError

    def _problem(self, request: Seen) -> str:
        message_id, seconds = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        if not message_id or not seconds.isdigit():
            return "no webhook-id or webhook-timestamp"
        if abs(int(seconds) - self._clock() // 1000) > TOLERANCE:
            return "the webhook-timestamp is not of now"
        signed = f"{message_id}.{seconds}.".encode() + request.body
        wanted = "v1," + base64.b64encode(hmac.new(self._secret, signed, hashlib.sha256).digest()).decode()
        given = request.headers.get("webhook-signature", "").split(" ")
        return "" if any(hmac.compare_digest(wanted, one) for one in given) else "the webhook-signature does not fit"


class BenefitVendor(SignedVendor):
    """The operator's coupon service: `stock` units of each benefit it knows."""

    name = "benefit"

    def __init__(self, secret: str, clock: Clock, stock: Mapping[str, int]) -> None:
        super().__init__(secret, clock)
        self._stock = dict(stock)

    def carry_out(self, key: str, body: Any) -> Response:
        """Hand one unit out, or say why not."""
        missing = [name for name in _NEEDED if not isinstance(body, dict) or not isinstance(body.get(name), str)]
        if missing:
            return self.refuse(f"missing: {missing}", Response(400, {"ok": False, "reason": "fields are missing"}))
        if body["key"] != key:
            return self.refuse("key is not the webhook-id", Response(400, {"ok": False, "reason": "key is not the webhook-id"}))
        if body["benefit"] not in self._stock:
            return self.refuse("unknown benefit", Response(422, {"ok": False, "reason": "unknown_benefit"}))
        if self._stock[body["benefit"]] <= 0:
            return self.refuse("sold out", Response(409, {"ok": False, "reason": "sold_out"}))
        self._stock[body["benefit"]] -= 1
        reference = self.take(key, body["user_id"], body)
        return Response(200, {"ok": True, "code": key[:12].upper(), "reference": reference})


class EndpointVendor(SignedVendor):
    """An endpoint that answers every call alike."""

    name = "endpoint"

    def __init__(self, secret: str, clock: Clock, reply: Mapping[str, Any]) -> None:
        super().__init__(secret, clock)
        self._reply = dict(reply)

    def carry_out(self, key: str, body: Any) -> Response:
        """Note the call, and reply."""
        if not isinstance(body, dict):
            return self.refuse("the body is no object", Response(400, {"reason": "the body is no object"}))
        self.take(key, "", body)
        return Response(200, self._reply)
