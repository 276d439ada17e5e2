"""A stand-in of Aliyun's SMS: checks the ACS3 signature, the fields, the number and the template, and knows what it took."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qsl

from channels.loopback.server import Response, Seen, Vendor
from channels.message import Clock
from channels.sms.acs3 import string_to_sign
from channels.sms.numbers import mobile_number

WINDOW = 900_000  # milliseconds that the request's time may differ
MUST_BE_SIGNED = frozenset({"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"})
AUTHORIZATION = re.compile(r"ACS3-HMAC-SHA256 Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})")
DOMESTIC = re.compile(r"(?:\+86|0086|86)?(1[3-9]\d{9})")
CHINA = timezone(timedelta(hours=8))


class AliyunVendor(Vendor):
    """`templates`: the variables of every template's code. `lag`: milliseconds until a taken message is found by a query.

    `refusals`: a number (as the vendor writes it: 13800138000) and the code that it is answered with.
    """

    name = "aliyun"

    def __init__(
        self, *, access_key_id: str, access_key_secret: str, sign: str, templates: Mapping[str, Collection[str]], clock: Clock,
        lag: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self._key_id, self._secret, self._sign, self._templates, self._clock = access_key_id, access_key_secret, sign, templates, clock
        self.lag = lag
        self.refusals: dict[str, tuple[str, str]] = {}
        self._times: list[int] = []
        self._nonces: set[str] = set()

    def is_send(self, request: Seen) -> bool:
        """SendSms carries a message; queries do not."""
        return request.headers.get("x-acs-action") == "SendSms"

    def flow_control(self) -> Response:
        """The gateway's words."""
        return _gateway("Throttling.User", "Request was denied due to user flow control.")

    def answer(self, request: Seen) -> Response:
        """The answer to one request."""
        query = dict(parse_qsl(request.raw_query, keep_blank_values=True))  # the vendor's own client writes + for a space and signs %20
        refused = self._gate(request, query)
        if refused is not None:
            return refused
        actions: dict[str, Callable[[Mapping[str, str]], Response]] = {
            "SendSms": self._send, "QuerySendDetails": self._query, "QuerySmsSign": self._read_sign,
            "QuerySmsTemplate": self._read_template,
        }  # fmt: skip
        action = actions.get(request.headers["x-acs-action"])
        if action is None:
            return self.refuse("action", _gateway("InvalidAction.NotFound", "Specified api is not found.", 404))
        return action(query)

    def _gate(self, request: Seen, query: Mapping[str, str]) -> Response | None:
        """What the gateway refuses before the service sees anything."""
        found = AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
        if request.method != "POST" or request.path != "/" or found is None:
            return self.refuse("authorization", _gateway("IncompleteSignature", "The request signature does not conform to standards."))
        key_id, names, signature = found[1], found[2].split(";"), found[3]
        headers = {name: request.headers.get(name, "") for name in names}
        if names != sorted(names) or not headers.keys() >= MUST_BE_SIGNED or not all(headers[name] for name in MUST_BE_SIGNED):
            return self.refuse("signed headers", _gateway("IncompleteSignature", "The request signature does not conform to standards."))
        if key_id != self._key_id:
            return self.refuse("key id", _gateway("InvalidAccessKeyId.NotFound", "Specified access key is not found.", 404))
        payload = hashlib.sha256(request.body).hexdigest()
        wanted = hmac.new(self._secret.encode(), string_to_sign("POST", "/", query, headers, payload).encode(), hashlib.sha256).hexdigest()
        if headers["x-acs-content-sha256"] != payload or not hmac.compare_digest(wanted, signature):
            return self.refuse("signature", _gateway("SignatureDoesNotMatch", "Specified signature is not matched with our calculation."))
        if abs(_instant(headers["x-acs-date"]) - self._clock()) > WINDOW:
            return self.refuse("date", _gateway("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."))
        if headers["x-acs-signature-nonce"] in self._nonces:
            return self.refuse("nonce", _gateway("SignatureNonceUsed", "Specified signature nonce was used already."))
        self._nonces.add(headers["x-acs-signature-nonce"])
        if headers["x-acs-version"] != "2017-05-25":
            return self.refuse("version", _gateway("InvalidVersion", "Specified parameter Version is not valid."))
        return None

    def _send(self, query: Mapping[str, str]) -> Response:
        for name in ("PhoneNumbers", "SignName", "TemplateCode"):
            if not query.get(name):
                return self.refuse(name, _gateway(f"Missing{name}", f"{name} is mandatory for this action."))
        domestic = DOMESTIC.fullmatch(query["PhoneNumbers"])
        if domestic is None and mobile_number("+" + query["PhoneNumbers"].lstrip("+")) is None:
            return self._no("isv.MOBILE_NUMBER_ILLEGAL", "非法手机号")
        number = domestic[1] if domestic else query["PhoneNumbers"].lstrip("+")
        refusal = self.refusals.get(number)
        if refusal is not None:
            return self._no(*refusal)
        if query["SignName"] != self._sign:
            return self._no("isv.SMS_SIGNATURE_ILLEGAL", "该账号下找不到对应签名")
        if query["TemplateCode"] not in self._templates:
            return self._no("isv.SMS_TEMPLATE_ILLEGAL", "该账号下找不到对应模板")
        values = _values(query.get("TemplateParam", "{}"))
        if values is None:
            return self._no("isv.INVALID_JSON_PARAM", "JSON参数不合法，只接受字符串值")
        wanted = set(self._templates[query["TemplateCode"]])
        if not wanted <= values.keys() or not all(values[name] for name in wanted):
            return self._no("isv.TEMPLATE_MISSING_PARAMETERS", "模板缺少变量")
        if values.keys() != wanted:  # the vendor is said to ignore these; a stand-in tells
            return self._no("isv.INVALID_PARAMETERS", "参数异常")
        content = {"template": query["TemplateCode"], "params": values}
        reference = self.take(query.get("OutId", ""), number, content)
        self._times.append(self._clock())
        return Response(200, {"Code": "OK", "Message": "OK", "BizId": reference, "RequestId": f"request-{self.requests}"})

    def _query(self, query: Mapping[str, str]) -> Response:
        for name in ("PhoneNumber", "SendDate", "PageSize", "CurrentPage"):
            if not query.get(name):
                return self.refuse(name, _gateway(f"Missing{name}", f"{name} is mandatory for this action."))
        size, page = int(query["PageSize"]), int(query["CurrentPage"])
        if not 1 <= size <= 50 or page < 1:  # noqa: PLR2004 - documented
            return self._no("isv.INVALID_PARAMETERS", "参数异常")
        found = [
            {
                "PhoneNum": taken.address, "OutId": taken.key, "TemplateCode": taken.content["template"], "SendStatus": 3,
                "ErrCode": "DELIVERED", "SendDate": _local(at), "ReceiveDate": _local(at), "Content": "",
            }
            for taken, at in reversed(list(zip(self.taken, self._times, strict=True)))
            if taken.address == query["PhoneNumber"]
            and _local(at)[:10].replace("-", "") == query["SendDate"]
            and self._clock() >= at + self.lag
        ]  # fmt: skip
        rows = found[(page - 1) * size : page * size]
        body = {"Code": "OK", "Message": "OK", "TotalCount": str(len(found)), "SmsSendDetailDTOs": {"SmsSendDetailDTO": rows}}
        return Response(200, body | {"RequestId": f"request-{self.requests}"})

    def _read_sign(self, query: Mapping[str, str]) -> Response:
        if query.get("SignName") != self._sign:
            return self._no("isv.SMS_SIGNATURE_ILLEGAL", "该账号下找不到对应签名")
        return Response(200, {"Code": "OK", "Message": "OK", "SignName": self._sign, "SignStatus": 1, "Reason": "", "RequestId": "r"})

    def _read_template(self, query: Mapping[str, str]) -> Response:
        code = query.get("TemplateCode", "")
        if code not in self._templates:
            return self._no("isv.SMS_TEMPLATE_ILLEGAL", "该账号下找不到对应模板")
        text = " ".join(f"${{{name}}}" for name in sorted(self._templates[code]))
        body = {"Code": "OK", "Message": "OK", "TemplateCode": code, "TemplateContent": text, "TemplateStatus": 1, "TemplateType": 2}
        return Response(200, body | {"RequestId": "r"})

    def _no(self, code: str, text: str) -> Response:
        """A business failure: HTTP 200 with another code than OK."""
        return self.refuse(code, Response(200, {"Code": code, "Message": text, "RequestId": f"request-{self.requests}"}))


def _gateway(code: str, text: str, status: int = 400) -> Response:
    return Response(status, {"Code": code, "Message": text, "RequestId": "request", "HostId": "dysmsapi.aliyuncs.com"})


def _instant(text: str) -> int:
    try:
        return round(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return 0


def _local(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _values(text: str) -> dict[str, str] | None:
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) and all(isinstance(value, str) for value in values.values()) else None
