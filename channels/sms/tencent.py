"""Tencent Cloud SMS (2021-01-11).

There is no idempotency key. PullSmsSendStatusByPhoneNumber answers with the vendor's SerialNo, which an attempt that got no answer
never learnt, and with our SessionContext only for accounts that Tencent has switched it on for (默认为空，如需开通请联系…). So by default
nothing tells the end of such an attempt, and it is never repeated; with `context_returned` the query settles it.
"""

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from channels.http import Answer, Http, Lost, NotSent
from channels.message import (
    Accepted,
    Callback,
    Clock,
    Diagnosis,
    Fault,
    Forged,
    Guarantee,
    Heard,
    Message,
    Neither,
    Outcome,
    Query,
    Receipt,
    Rejected,
    Reply,
    RetryLater,
    Unknown,
    VendorTemplate,
)
from channels.sms.filling import PROBE, Filled, filled, reason_of, without_numbers
from channels.sms.numbers import from_parts, mobile_number
from channels.sms.pushes import elements, knows_secret, read_each, text_of
from channels.sms.tc3 import signed_headers
from channels.sms.tencent_codes import outcome

VERSION = "2021-01-11"
HEARD = '{"result":0,"errmsg":"OK"}'
AROUND = 300  # seconds around an attempt in which the vendor's record of it is looked for
LATEST = 1 << 32  # Unix seconds: what is later is no time
SIGNS = 100  # the most that a page of signs holds
STATUS = {1: "still being reviewed", 2: "approved, but not yet in force", -1: "refused by the reviewers"}


class TencentSms:
    """Sends through SendSms. `sign` without 【】; a template's fields map our names to its positions: {"code": "1", "shop": "2"}."""

    one_at_a_time = False

    def __init__(  # noqa: PLR0913 - what the vendor wants to be told
        self, *, secret_id: str, secret_key: str, sdk_app_id: str, sign: str, region: str = "ap-guangzhou",
        templates: Mapping[str, VendorTemplate], receipt_secret: str, clock: Clock,
        base_url: str = "https://sms.tencentcloudapi.com", timeout: float = 5.0, context_returned: bool = False,
    ) -> None:  # fmt: skip
        self._secret_id, self._secret_key, self._app_id, self._sign, self._region = secret_id, secret_key, sdk_app_id, sign, region
        self._templates, self._receipt_secret, self._clock = templates, receipt_secret, clock
        self._http = Http(base_url, timeout=timeout)
        self._host = urlsplit(base_url).netloc
        self.timeout = self._http.longest
        # A record appears once the carrier has answered, mostly within seconds.
        self.guarantee: Guarantee = Query(lag=30_000, until=3_600_000) if context_returned else Neither()

    def send(self, message: Message) -> Outcome:
        """Hand one message over."""
        number = mobile_number(message.address)
        if number is None:
            return Rejected("bad_number", "not a mobile number", blames="address")
        text = filled(message.content, self._templates)
        if not isinstance(text, Filled):
            return text
        values = positional(text.values)
        if values is None:
            reason = f"template {text.id}: its fields are not numbered 1, 2, 3, …"
            return Fault("template_fields", reason, PROBE, scope="template")
        payload = {
            "PhoneNumberSet": [number], "SmsSdkAppId": self._app_id, "SignName": self._sign, "TemplateId": text.id,
            "TemplateParamSet": values, "SessionContext": message.key,
        }  # fmt: skip
        return sent(self._call("SendSms", payload), number, message.key, self._clock())

    def look_up(self, message: Message) -> Accepted | Unknown:
        """Accepted when the vendor has a record with our SessionContext; else Unknown: absence proves nothing."""
        number = mobile_number(message.address)
        if number is None:
            return Unknown("not a mobile number")
        payload = {
            "BeginTime": message.at // 1000 - AROUND, "EndTime": message.at // 1000 + AROUND, "Offset": 0, "Limit": 100,
            "PhoneNumber": number, "SmsSdkAppId": self._app_id,
        }  # fmt: skip
        body = _response(self._call("PullSmsSendStatusByPhoneNumber", payload))
        if isinstance(body, str):
            return Unknown(body)
        for row in _rows(body, "PullSmsSendStatusSet"):
            if row.get("SessionContext") == message.key:
                return Accepted(text_of(row, "SerialNo"))
        return Unknown("not among the vendor's records")

    def hear(self, callback: Callback) -> Heard | Forged:
        """Receipts (an array) and replies (one object): Tencent signs neither, so the URL ends with a secret."""
        if not knows_secret(callback.url, self._receipt_secret):
            return Forged("the URL does not end with the receipt secret")
        items = elements(callback.body)
        if items is None:
            return Heard(problems=("not JSON",), answer=HEARD)
        good, problems = read_each(items, read_push)
        return Heard(
            receipts=[r for r in good if isinstance(r, Receipt)], replies=[r for r in good if isinstance(r, Reply)],
            problems=problems, answer=HEARD,
        )  # fmt: skip

    def diagnose(self) -> list[Diagnosis]:
        """Lists signs and templates: this proves the keys, too, and messages nobody. `sdk_app_id` is proven by sending only."""
        found = [self._diagnose_sign(), *(self._diagnose_template(name, template) for name, template in self._templates.items())]
        if not self._receipt_secret:
            cure = "set [channels.sms] receipt_secret, and end the callback URLs in the console with it"
            found.append(Diagnosis("Tencent receipts", ok=False, found="there is no receipt_secret: all are refused", cure=cure))
        return found

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def _call(self, action: str, payload: Mapping[str, Any]) -> Answer | NotSent | Lost:
        body = orjson.dumps(payload)
        headers = signed_headers(
            body, action=action, version=VERSION, region=self._region, host=self._host,
            secret_id=self._secret_id, secret=self._secret_key, now=self._clock(),
        )  # fmt: skip
        return self._http.request("POST", "/", body=body, headers=headers)

    def _diagnose_sign(self) -> Diagnosis:
        what = f"Tencent sign {self._sign}"
        for page in range(10):
            body = _response(self._call("DescribeSmsSignList", {"International": 0, "Limit": SIGNS, "Offset": page * SIGNS}))
            if isinstance(body, str):
                return Diagnosis(what, ok=False, found=body, cure=cure_of(body))
            rows = _rows(body, "DescribeSignListStatusSet")
            mine = [row for row in rows if row.get("SignName") == self._sign]
            if any(row.get("StatusCode") == 0 for row in mine):
                return Diagnosis(what, ok=True, found="approved")
            if mine:
                return Diagnosis(what, ok=False, found=_status(mine[0]), cure="wait for, or correct, the sign in 国内短信 > 签名管理")
            if len(rows) < SIGNS:
                break
        return Diagnosis(what, ok=False, found="there is no such sign", cure="[channels.sms] sign: 国内短信 > 签名管理, without 【】")

    def _diagnose_template(self, name: str, template: VendorTemplate) -> Diagnosis:
        what, cure = f"Tencent template {name} ({template.id})", f"[channels.sms.templates.{name}] id: 国内短信 > 正文模板管理, ID"
        if not (template.id.isascii() and template.id.isdigit()):
            return Diagnosis(what, ok=False, found="the id is not a number", cure=cure)
        body = _response(self._call("DescribeSmsTemplateList", {"International": 0, "TemplateIdSet": [int(template.id)]}))
        if isinstance(body, str):
            return Diagnosis(what, ok=False, found=body, cure=cure_of(body))
        rows = [row for row in _rows(body, "DescribeTemplateStatusSet") if text_of(row, "TemplateId") == template.id]
        if not rows:
            return Diagnosis(what, ok=False, found="there is no such template", cure=cure)
        if rows[0].get("StatusCode") != 0:
            return Diagnosis(what, ok=False, found=_status(rows[0]), cure="wait for, or correct, the template in 国内短信 > 正文模板管理")
        if template.fields and positional(dict.fromkeys(template.fields.values(), "")) is None:
            found = f"its fields are {sorted(template.fields.values())}"
            return Diagnosis(what, ok=False, found=found, cure=f"number the fields of [channels.sms.templates.{name}] id: 1, 2, 3, …")
        return Diagnosis(what, ok=True, found="approved")


# --- pure


def positional(values: Mapping[str, str]) -> list[str] | None:
    """The values by position; None unless they are named 1, 2, 3, … without a gap."""
    wanted = [str(n) for n in range(1, len(values) + 1)]
    return [values[name] for name in wanted] if set(values) == set(wanted) else None


def sent(answer: Answer | NotSent | Lost, number: str, key: str, now: int) -> Outcome:
    """What an answer to SendSms means: the code of our own number, or of the whole request. What is not understood is Unknown."""
    if isinstance(answer, NotSent):
        return RetryLater(5_000, answer.reason, whole_channel=True)
    if isinstance(answer, Lost):
        return Unknown(answer.reason)
    response = (answer.json() or {}).get("Response")
    if not isinstance(response, dict) or answer.status >= 500:  # noqa: PLR2004 - the server's own failures prove nothing
        return Unknown(f"HTTP {answer.status} without an answer of SendSms")
    error = response.get("Error")
    if isinstance(error, dict) and isinstance(error.get("Code"), str):
        return outcome(error["Code"], text_of(error, "Message"), now)
    rows = _rows(response, "SendStatusSet")
    if len(rows) != 1 or rows[0].get("PhoneNumber") != number or rows[0].get("SessionContext", key) not in (key, ""):
        return Unknown("an answer about something else")
    code, serial = rows[0].get("Code"), text_of(rows[0], "SerialNo")
    if not isinstance(code, str):
        return Unknown("an answer without a code")
    if code == "Ok":
        return Accepted(serial) if serial and answer.status == 200 else Unknown("Ok without a SerialNo")  # noqa: PLR2004
    return outcome(code, text_of(rows[0], "Message"), now)


def read_push(item: dict[str, Any]) -> Receipt | Reply | str:
    """One element of a push. A receipt has `report_status`, a reply has `text`; a text says what is wrong with it."""
    if "report_status" in item:
        return _read_receipt(item)
    if "text" in item:
        return _read_reply(item)
    return "neither a receipt nor a reply"


def cure_of(found: str) -> str:
    """Where to look for the cause of a refused query."""
    if found.startswith("no answer"):
        return "the network: this machine must reach the host of [channels.sms] base_url (DNS, firewall)"
    if "AuthFailure.SignatureExpire" in found:
        return "set this machine's clock"
    if "UnauthorizedOperation" in found or "ProhibitSubAccountUse" in found:
        return "give the key's sub-account QcloudSMSFullAccess (访问管理 > 策略)"
    if "AuthFailure" in found:
        return "[channels.sms] secret_id and secret_key: 访问管理 > API密钥管理"
    return "[channels.sms]: compare with the SMS console"


def _read_receipt(item: dict[str, Any]) -> Receipt | str:
    status, key, serial = text_of(item, "report_status"), text_of(item, "ext"), text_of(item, "sid")
    if status not in {"SUCCESS", "FAIL"}:
        return "report_status is neither SUCCESS nor FAIL"
    if not key and not serial:
        return "neither ext nor sid"
    # Carriers' codes (MK:0001, …) are not ours to read: none of them is documented as a number that is dead for good.
    return Receipt(status == "SUCCESS", key, serial, text_of(item, "errmsg"), without_numbers(text_of(item, "description"))[:200])


def _read_reply(item: dict[str, Any]) -> Reply | str:
    country, mobile, text, seconds = text_of(item, "nationcode"), text_of(item, "mobile"), item.get("text"), item.get("time")
    address = from_parts(country, mobile)
    if address is None or not isinstance(text, str):
        return "a reply without a mobile number or a text"
    at = seconds * 1000 if isinstance(seconds, int) and 1 < seconds < LATEST else 0
    mark = "\n".join([address, text, str(seconds), text_of(item, "extend"), text_of(item, "sign")])  # the vendor numbers no replies
    return Reply(hashlib.blake2b(mark.encode("utf-8", "replace"), digest_size=16).hexdigest(), address, text, at)


def _response(answer: Answer | NotSent | Lost) -> dict[str, Any] | str:
    """The response of a query; a text when it is none."""
    if not isinstance(answer, Answer):
        return f"no answer: {answer.reason}"
    response = (answer.json() or {}).get("Response")
    if not isinstance(response, dict):
        return f"HTTP {answer.status} without an answer of Tencent's"
    error = response.get("Error")
    return reason_of(text_of(error, "Code"), text_of(error, "Message")) if isinstance(error, dict) else response


def _rows(response: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = response.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _status(row: Mapping[str, Any]) -> str:
    status, reply = row.get("StatusCode"), row.get("ReviewReply")
    known = STATUS.get(status, f"status {status}") if isinstance(status, int) else "no status"
    return f"{known}: {reply}" if isinstance(reply, str) and reply else known
