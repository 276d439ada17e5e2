"""What each code of Twilio means for a message. Source: twilio.com/docs/api/errors. A code that is not here proves nothing."""

from typing import Literal

from channels.message import Fault, Outcome, Rejected, RetryLater, Unknown
from channels.sms.filling import PROBE, reason_of

# The account, its keys, its sender.
CHANNEL = frozenset(
    {
        10001,  # the account is not active
        20003, 20005, 20404, 20006,  # authentication, an account that is suspended or not there, access denied
        21212, 21601, 21603, 21606, 21659, 21660, 21661,  # the From number: invalid, no SMS, missing, not this account's
        21701, 21703, 21705,  # the messaging service: not there, without a sender, an invalid id
        21608,  # a trial account, which reaches verified numbers only
        21609,  # the StatusCallback is no URL
        30002,  # the account was suspended
    }
)  # fmt: skip
# 21408: the region is switched off in the account's settings; the number may be perfectly good.
MESSAGE = frozenset({21408, 21602, 21604, 21605, 21612, 21617, 21619, 21620})
ADDRESS = frozenset({21211, 21214, 21217, 21614, 21635})  # no number, no mobile, a landline
CONSENT = frozenset({21610})  # replied STOP
QUEUE_FULL = 21611  # the sender has too many messages waiting: this one was not taken

# Of status callbacks: 30005 the number does not exist (any more), 30006 a landline.
RECEIPT_ADDRESS = frozenset({30005, 30006}) | ADDRESS


def outcome(status: int, code: int, text: str, retry_after: int) -> Outcome:
    """What an error says. `retry_after` is the Retry-After header's, in milliseconds. A status of 500 and more is not for here."""
    reason = reason_of(code, text)
    if status == 429 or code == 20429:  # noqa: PLR2004 - too many requests, in HTTP's words and in Twilio's
        return RetryLater(retry_after, reason, whole_channel=True)
    if code == QUEUE_FULL:
        return RetryLater(60_000, reason, whole_channel=True)
    if status == 401 or code in CHANNEL:  # noqa: PLR2004 - unauthorized
        return Fault(str(code or status), reason, PROBE)
    blames = blamed(code)
    return Unknown(reason) if blames is None else Rejected(str(code), reason, blames)


def blamed(code: int) -> Literal["message", "address", "consent"] | None:
    """Whom a refusal of one message blames; None for a code that is not in the table."""
    if code in MESSAGE:
        return "message"
    if code in ADDRESS:
        return "address"
    return "consent" if code in CONSENT else None
