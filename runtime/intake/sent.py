"""What the messages of all vendors have in common: whose ids they carry, what makes each of them this one, when it was sent."""

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from journeys.values import is_id

WAY = 10_000  # milliseconds that a message may be on its way
_CONTACT = re.compile(r"\$identity_(mobile|email|mp_unionid|mp_openid|mp_\w+_openid)\+.")


def text_id(value: Any) -> str:
    """An id as a text; nothing for what is none. Vendors send numbers as well."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def login_of(message: Mapping[str, Any]) -> str:
    """Sensors Analytics' `login_id`, unless it is nobody's user id: a phone, an e-mail, an openid (`$identity_mobile+138…`)."""
    login = text_id(message.get("login_id"))
    return "" if _CONTACT.match(login) else login


def user_of(message: Any) -> str:
    """The operator's own id of a user whom what was posted names, in our spelling or a vendor's; nothing where it names none that is one.

    GrowingIO says with `userKey` that its `userId` is an openid, say; Sensors Analytics' `distinct_id` may be a login.
    """
    if not isinstance(message, dict):
        return ""
    if "call" in message:
        return user_of(message["call"])
    identities, properties = (value if isinstance(value := message.get(key), dict) else {} for key in ("identities", "properties"))
    is_login = properties.get("$is_login_id") is True or (message.get("type") == "track_signup" and not identities)
    told = (
        message.get("user_id"), message.get("subject") if "specversion" in message else None,
        message.get("userId") if not message.get("userKey") else None,
        identities.get("$identity_login_id"), login_of(message), message.get("distinct_id") if is_login else None,
    )  # fmt: skip
    return next((found for value in told if is_id(found := text_id(value))), "")


def content_key(message: Mapping[str, Any], without: Collection[str]) -> str:
    """40 hex digits that are the same for the same content, whenever it is sent: `without` are the fields about the sending."""
    content = {name: value for name, value in message.items() if name not in without}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()[:40]


def corrected(time: Any, sent: Any, now: int) -> Any:
    """An event's time (milliseconds) on our clock: the sender's clock is off by as much as its time of sending is from the receipt.

    Less than ten seconds off is the way here, not the clock: 08:00:00 sent at 08:00:02 and received at 08:00:05 stays 08:00:00; sent
    by a clock two hours ahead (10:00:00, 10:00:02) it becomes 08:00:03. A time of sending that cannot be (before the event) is ignored.
    """
    if isinstance(time, bool) or isinstance(sent, bool) or not isinstance(time, int) or not isinstance(sent, int):
        return time
    skew = now - sent
    return time if abs(skew) < WAY or time > sent + WAY or time + skew < 0 else time + skew
