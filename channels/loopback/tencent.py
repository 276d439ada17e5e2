"""A stand-in of Tencent Cloud's SMS: checks the TC3 signature, the fields, the number and the template, and knows what it took."""

import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any

from channels.loopback.server import Response, Seen, Vendor
from channels.message import Clock
from channels.sms.tc3 import canonical_request, day, signature

WINDOW = 300_000  # milliseconds that the request's time may differ
AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=([^/]+)/([0-9-]+)/sms/tc3_request, SignedHeaders=content-type;host, Signature=([0-9a-f]{64})"
)
NUMBER = re.compile(r"\+[1-9]\d{6,14}")
CHINESE = re.compile(r"\+861[3-9]\d{9}")


class TencentVendor(Vendor):
    """`templates`: how many parameters each template takes, by its id. `lag`: milliseconds until a taken message is found by a query.

    `context_returned`: whether the account has SessionContext in its queries (Tencent switches it on). `refusals`: a number
    (+8613800138000) and the code that it is answered with.
    """

    name = "tencent"

    def __init__(
        self, *, secret_id: str, secret_key: str, sdk_app_id: str, sign: str, templates: Mapping[str, int], clock: Clock,
        lag: int = 0, context_returned: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self._secret_id, self._secret_key, self._app_id, self._sign = secret_id, secret_key, sdk_app_id, sign
        self._templates, self._clock, self.lag, self.context_returned = templates, clock, lag, context_returned
        self.refusals: dict[str, tuple[str, str]] = {}
        self._times: list[int] = []

    def is_send(self, request: Seen) -> bool:
        """SendSms carries a message; queries do not."""
        return request.headers.get("x-tc-action") == "SendSms"

    def flow_control(self) -> Response:
        """The gateway's words."""
        return _error("RequestLimitExceeded", "Your current request times equals to `3001` in a second, which exceeds the frequency limit.")

    def answer(self, request: Seen) -> Response:
        """The answer to one request: HTTP 200, whatever it says."""
        refused = self._gate(request)
        if refused is not None:
            return refused
        body = request.json()
        if not isinstance(body, dict):
            return self._no("InvalidParameter", "The request body is not a JSON object.")
        actions: dict[str, Callable[[dict[str, Any]], Response]] = {
            "SendSms": self._send, "PullSmsSendStatusByPhoneNumber": self._pull,
            "DescribeSmsSignList": self._signs, "DescribeSmsTemplateList": self._list,
        }  # fmt: skip
        action = actions.get(request.headers.get("x-tc-action", ""))
        return self._no("InvalidAction", "The action does not exist.") if action is None else action(body)

    def _gate(self, request: Seen) -> Response | None:
        found = AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        stamp = request.headers.get("x-tc-timestamp", "")
        if request.method != "POST" or request.path != "/" or found is None or not stamp.isdigit():
            return self._no("AuthFailure.InvalidAuthorization", "Authorization in the request header is invalid.")
        if found[1] != self._secret_id:
            return self._no("AuthFailure.SecretIdNotFound", "The SecretId is not found, please ensure that your SecretId is correct.")
        now = int(stamp) * 1000
        if abs(now - self._clock()) > WINDOW or found[2] != day(now):
            return self._no("AuthFailure.SignatureExpire", "The signature has expired.")
        host, kind = request.headers.get("host", ""), request.headers.get("content-type", "")
        wanted = signature(self._secret_key, canonical_request(request.body, host=host, content_type=kind), now)
        if not kind.startswith("application/json") or not hmac.compare_digest(wanted, found[3]):
            return self._no("AuthFailure.SignatureFailure", "The provided credentials could not be validated.")
        if request.headers.get("x-tc-version") != "2021-01-11":
            return self._no("NoSuchVersion", "The version does not exist.")
        if not request.headers.get("x-tc-region"):
            return self._no("MissingParameter", "The request is missing the parameter `Region`.")
        return None

    def _send(self, body: dict[str, Any]) -> Response:
        for name in ("PhoneNumberSet", "SmsSdkAppId", "TemplateId"):
            if not body.get(name):
                return self._no("MissingParameter", f"The request is missing the parameter `{name}`.")
        numbers, values, context = body["PhoneNumberSet"], body.get("TemplateParamSet") or [], body.get("SessionContext", "")
        if not _texts(numbers) or not _texts(values) or not isinstance(context, str) or len(context.encode()) >= 512:  # noqa: PLR2004
            return self._no("InvalidParameter", "The type of a parameter is wrong.")
        if len({bool(CHINESE.fullmatch(number)) for number in numbers}) > 1:
            return self._no("UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber", "domestic and international numbers")
        return _good({"SendStatusSet": [self._send_one(number, body, values, context) for number in numbers]})

    def _send_one(self, number: str, body: Mapping[str, Any], values: list[str], context: str) -> dict[str, Any]:
        code, text = self._verdict(number, body, values)
        serial = ""
        if code == "Ok":
            serial = self.take(context, number, {"template": body["TemplateId"], "params": values})
            self._times.append(self._clock())
        else:
            self.refused.append(code)
        iso = "CN" if CHINESE.fullmatch(number) else "DEF"
        return {
            "SerialNo": serial, "PhoneNumber": number, "Fee": int(code == "Ok"), "SessionContext": context, "Code": code,
            "Message": text, "IsoCode": iso,
        }  # fmt: skip

    def _verdict(self, number: str, body: Mapping[str, Any], values: list[str]) -> tuple[str, str]:
        if not NUMBER.fullmatch(number) or (number.startswith("+86") and not CHINESE.fullmatch(number)):
            return "InvalidParameterValue.IncorrectPhoneNumber", "incorrect phone number"
        if number in self.refusals:
            return self.refusals[number]
        if body["SmsSdkAppId"] != self._app_id:
            return "UnauthorizedOperation.SmsSdkAppIdVerifyFail", "sdkappid verify fail"
        if number.startswith("+86") and body.get("SignName") != self._sign:
            return "FailedOperation.SignatureIncorrectOrUnapproved", "signature is incorrect or unapproved"
        wanted = self._templates.get(body["TemplateId"])
        if wanted is None:
            return "FailedOperation.TemplateUnapprovedOrNotExist", "template is unapproved or not exist"
        if len(values) != wanted or not all(values):
            return "FailedOperation.TemplateParamSetNotMatchApprovedTemplate", "the number of parameters is not the template's"
        return "Ok", "send success"

    def _pull(self, body: dict[str, Any]) -> Response:
        for name in ("BeginTime", "Limit", "PhoneNumber", "SmsSdkAppId"):
            if not body.get(name):
                return self._no("MissingParameter", f"The request is missing the parameter `{name}`.")
        if body.get("Offset") != 0 or not 1 <= body["Limit"] <= 100:  # noqa: PLR2004 - documented
            return self._no("InvalidParameterValue.LimitVerifyFail", "limit")
        found = [
            {
                "UserReceiveTime": at // 1000, "CountryCode": "86", "SubscriberNumber": taken.address[3:], "PhoneNumber": taken.address,
                "SerialNo": taken.reference, "ReportStatus": "SUCCESS", "Description": "DELIVRD",
                "SessionContext": taken.key if self.context_returned else "",
            }
            for taken, at in zip(self.taken, self._times, strict=True)
            if taken.address == body["PhoneNumber"] and body["BeginTime"] * 1000 <= at <= body.get("EndTime", 1 << 40) * 1000
            and self._clock() >= at + self.lag
        ]  # fmt: skip
        return _good({"PullSmsSendStatusSet": found[: body["Limit"]]})

    def _signs(self, body: dict[str, Any]) -> Response:
        row = {"SignId": 1, "International": 0, "StatusCode": 0, "ReviewReply": "", "SignName": self._sign, "CreateTime": 1_700_000_000}
        return _good({"DescribeSignListStatusSet": [] if body.get("Offset") else [row]})

    def _list(self, body: dict[str, Any]) -> Response:
        rows = [
            {
                "TemplateId": number, "International": 0, "StatusCode": 0, "ReviewReply": "", "TemplateName": str(number),
                "CreateTime": 1_700_000_000, "TemplateContent": "",
            }
            for number in body.get("TemplateIdSet", [])
            if str(number) in self._templates
        ]  # fmt: skip
        return _good({"DescribeTemplateStatusSet": rows})

    def _no(self, code: str, text: str) -> Response:
        return self.refuse(code, _error(code, text))


def _good(body: dict[str, Any]) -> Response:
    # The vendor's client reads an answer only when its type is exactly this.
    return Response(200, {"Response": body | {"RequestId": "request"}}, {"Content-Type": "application/json"})


def _error(code: str, text: str) -> Response:
    return _good({"Error": {"Code": code, "Message": text}})


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
