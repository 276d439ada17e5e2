"""What each code of Tencent's SMS means for a message.

Sources: the vendor's SDK (sms/v20210111/errorcodes.py), cloud.tencent.com/document/api/382/59177.

The same codes come for one number (SendStatusSet) and for the whole request (Response.Error). A code that is not here proves nothing.
InternalError.Timeout and SendAndRecvFail are left out on purpose: 请求下发短信超时 says that nobody knows whether it went out.
"""

from typing import Literal

from channels.message import Fault, Outcome, Rejected, RetryLater, Unknown
from channels.sms.filling import PROBE, reason_of
from channels.sms.pushes import until_local

HOUR = 3_600_000

# The account, its keys, its application, its sign.
CHANNEL = frozenset(
    {
        "AuthFailure.InvalidAuthorization", "AuthFailure.InvalidSecretId", "AuthFailure.MFAFailure", "AuthFailure.SecretIdNotFound",
        "AuthFailure.SignatureExpire", "AuthFailure.SignatureFailure", "AuthFailure.TokenFailure", "AuthFailure.UnauthorizedOperation",
        "InternalError.RequestTimeException", "InternalError.SigFieldMissing", "InternalError.SigVerificationFail",
        "InternalError.RestApiInterfaceNotExist", "InvalidAction", "NoSuchVersion", "UnsupportedRegion",
        "InvalidParameter.AppidAndBizId", "InvalidParameterValue.SdkAppIdNotExist", "UnauthorizedOperation",
        "UnauthorizedOperation.RequestIpNotInWhitelist", "UnauthorizedOperation.RequestPermissionDeny",
        "UnauthorizedOperation.SdkAppIdIsDisabled", "UnauthorizedOperation.ServiceSuspendDueToArrears",
        "UnauthorizedOperation.SmsSdkAppIdVerifyFail",
        "FailedOperation.InsufficientBalanceInSmsPackage", "FailedOperation.SignatureIncorrectOrUnapproved",
    }
)  # fmt: skip
# The operator's own ceilings in the console.
CEILING = frozenset({"LimitExceeded.AppDailyLimit", "LimitExceeded.AppMainlandChinaDailyLimit"})
TEMPLATE = frozenset(
    {
        "FailedOperation.TemplateIncorrectOrUnapproved", "FailedOperation.TemplateUnapprovedOrNotExist",
        "FailedOperation.TemplateIdNotExist", "FailedOperation.TemplateParamSetNotMatchApprovedTemplate",
        "UnauthorizedOperation.IndividualUserMarketingSmsPermissionDeny",
    }
)  # fmt: skip
MESSAGE = frozenset(
    {
        "FailedOperation.ContainSensitiveWord", "FailedOperation.FailResolvePacket", "FailedOperation.JsonParseFail",
        "InvalidParameter", "InvalidParameter.DirtyWordFound", "InvalidParameter.InvalidParameters", "InvalidParameterValue",
        "InvalidParameterValue.ContentLengthLimit", "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter",
        "InvalidParameterValue.TemplateParameterFormatError", "InvalidParameterValue.TemplateParameterLengthLimit",
        "LimitExceeded.AppCountryOrRegionInBlacklist", "MissingParameter", "MissingParameter.EmptyPhoneNumberSet",
        "UnsupportedOperation", "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone",
        "UnsupportedOperation.GlobalTemplateToChineseMainlandPhone", "UnsupportedOperation.UnsupportedRegion",
    }
)  # fmt: skip
ADDRESS = frozenset({"InvalidParameterValue.IncorrectPhoneNumber", "FailedOperation.PhoneNumberParseFail"})
CONSENT = frozenset({"FailedOperation.PhoneNumberInBlacklist"})  # 通常是用户退订或者命中运营商免打扰名单导致的

# One number's own limits, in milliseconds; those that end with the (Chinese) calendar day are in BY_MIDNIGHT.
LIMITS = {
    "LimitExceeded.PhoneNumberThirtySecondLimit": 30_000,
    "LimitExceeded.PhoneNumberOneHourLimit": HOUR,
    "LimitExceeded.DeliveryFrequencyLimit": HOUR,  # a policy of the operator's own in the console: it names no time
    "LimitExceeded.GlobalSmsSendingRateLimit": 5_000,  # foreign numbers only
}
BY_MIDNIGHT = frozenset(
    {
        "LimitExceeded.PhoneNumberDailyLimit", "LimitExceeded.PhoneNumberSameContentDailyLimit",  # 自然日: document/faq/382/13303
        "LimitExceeded.DailyLimit", "LimitExceeded.AppGlobalDailyLimit", "LimitExceeded.AppCountryOrRegionDailyLimit",  # foreign only
    }
)  # fmt: skip
MARKETING_HOURS = "FailedOperation.MarketingSendTimeConstraint"  # marketing goes out from 8 to 22; notices on the same channel go on


def outcome(code: str, text: str, now: int) -> Outcome:
    """What a code other than Ok says; `now` (milliseconds since 1970) because some limits end at midnight or at eight."""
    reason = reason_of(code, text)
    if code == "RequestLimitExceeded" or code.startswith("RequestLimitExceeded."):
        return RetryLater(1_000, reason, whole_channel=True)
    if code == MARKETING_HOURS:
        return RetryLater(until_local(now, 8), reason)
    if code in LIMITS:
        return RetryLater(LIMITS[code], reason)
    if code in BY_MIDNIGHT:
        return RetryLater(until_local(now, 0), reason)
    if code in CHANNEL:
        return Fault(code, reason, PROBE)
    if code in CEILING:
        return Fault(code, reason, HOUR)
    if code in TEMPLATE:
        return Fault(code, reason, PROBE, scope="template")
    blames = _blamed(code)
    return Unknown(reason) if blames is None else Rejected(code, reason, blames)


def _blamed(code: str) -> Literal["message", "address", "consent"] | None:
    if code in MESSAGE:
        return "message"
    if code in ADDRESS:
        return "address"
    return "consent" if code in CONSENT else None
