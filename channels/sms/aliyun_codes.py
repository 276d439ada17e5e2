"""What each code of Aliyun's SMS means for a message. Source: help.aliyun.com/document_detail/101346 (codes), 101347 (receipts).

A code that is not here proves nothing: SignatureNonceUsed, for one, is what a request that was sent twice on the way is answered.
"""

from typing import Literal

from channels.message import Fault, Outcome, Rejected, RetryLater, Unknown
from channels.sms.filling import PROBE, reason_of

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

# The account, its keys, its sign: nothing goes out until somebody acts.
CHANNEL = frozenset(
    {
        "SignatureDoesNotMatch", "InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.Inactive", "InvalidAccessKeyId", "MissingAccessKeyId",
        "IncompleteSignature", "InvalidTimeStamp.Expired", "InvalidTimeStamp.Format", "InvalidVersion", "InvalidAction.NotFound",
        "Forbidden.RAM", "NoPermission", "isp.RAM_PERMISSION_DENY", "isv.DENY_IP_RANGE",
        "isv.ACCOUNT_NOT_EXISTS", "isv.ACCOUNT_ABNORMAL", "isv.PRODUCT_UN_SUBSCRIPT", "isv.PRODUCT_UNSUBSCRIBE",
        "isv.AMOUNT_NOT_ENOUGH", "isv.OUT_OF_SERVICE",
        "isv.SMS_SIGNATURE_ILLEGAL", "isv.SMS_SIGN_ILLEGAL", "isv.SIGN_NAME_ILLEGAL", "isv.SIGN_STATE_ILLEGAL",
    }
)  # fmt: skip
# The operator's own ceilings in the console: they end with the day or month, or when the operator raises them.
CEILING = frozenset({"isv.DAY_LIMIT_CONTROL", "isv.MONTH_LIMIT_CONTROL"})
TEMPLATE = frozenset(
    {
        "isv.SMS_TEMPLATE_ILLEGAL", "isv.SMS_SIGNATURE_SCENE_ILLEGAL", "isv.TEMPLATE_MISSING_PARAMETERS", "isv.INVALID_JSON_PARAM",
        "isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE",
    }
)  # fmt: skip
# BLACK_KEY is a word in a variable, not a number on a list.
MESSAGE = frozenset(
    {
        "isv.BLACK_KEY_CONTROL_LIMIT", "isv.SMS_CONTENT_ILLEGAL", "isv.UNSUPPORTED_CONTENT", "isv.PARAM_LENGTH_LIMIT",
        "isv.PARAM_NOT_SUPPORT_URL", "isv.TEMPLATE_PARAMS_ILLEGAL", "isv.INVALID_PARAMETERS", "isv.DOMESTIC_NUMBER_NOT_SUPPORTED",
    }
)  # fmt: skip
ADDRESS = frozenset({"isv.MOBILE_NUMBER_ILLEGAL"})
CONSENT = frozenset({"isv.CUSTOMER_REFUSED"})  # 用户已退订推广短信

# Of receipts. USER_REJECT: 已退订此业务; MOBILE_IN_BLACK: 通常是用户已退订此签名. No code of a receipt proves a number dead:
# MOBILE_NOT_ON_SERVICE and INVALID_NUMBER are also what a phone that is switched off gets.
RECEIPT_CONSENT = frozenset({"USER_REJECT", "MOBILE_IN_BLACK"})


def outcome(code: str, text: str) -> Outcome:
    """What a code other than OK says; `text` is the vendor's message, which names the limit of a flow control."""
    reason = reason_of(code, text)
    if code == "isv.BUSINESS_LIMIT_CONTROL":  # per sign, template and number: the message's own
        return RetryLater(flow_delay(text), reason)
    if code == "isp.SYSTEM_ERROR":  # documented: call again
        return RetryLater(10_000, reason)
    if code == "Throttling" or code.startswith("Throttling."):
        return RetryLater(1_000, reason, whole_channel=True)
    if code in CHANNEL:
        return Fault(code, reason, PROBE)
    if code in CEILING:
        return Fault(code, reason, HOUR)
    if code in TEMPLATE:
        return Fault(code, reason, PROBE, scope="template")
    blames = _blamed(code)
    return Unknown(reason) if blames is None else Rejected(code, reason, blames)


def flow_delay(text: str) -> int:
    """Milliseconds until a flow control is over: 触发分钟级流控Permits:1 is a minute. The days are rolling ones; unnamed is an hour."""
    for word, delay in (("分钟级", MINUTE), ("小时级", HOUR), ("天级", DAY)):
        if word in text:
            return delay
    return HOUR


def _blamed(code: str) -> Literal["message", "address", "consent"] | None:
    if code in MESSAGE:
        return "message"
    if code in ADDRESS:
        return "address"
    return "consent" if code in CONSENT else None
