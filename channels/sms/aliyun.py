"""Aliyun SMS (dysmsapi, 2017-05-25).

SendSms has no idempotency (its own page says so): OutId is only echoed. It makes the query and the receipt exact, though, so an
attempt whose answer was lost is looked up by it. Business failures are HTTP 200 with another Code.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

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
    Outcome,
    Query,
    Receipt,
    Rejected,
    Reply,
    RetryLater,
    Unknown,
    VendorTemplate,
)
from channels.sms.acs3 import encoded, signed_headers
from channels.sms.aliyun_codes import RECEIPT_CONSENT, outcome
from channels.sms.filling import Filled, filled, reason_of, without_numbers
from channels.sms.numbers import for_aliyun, mobile_number
from channels.sms.pushes import elements, knows_secret, local_day, local_instant, read_each, text_of

VERSION = "2017-05-25"
PAGE = 50  # the most that QuerySendDetails gives at once
PAGES = 20  # no number gets a thousand messages a day: marketing ends at 50
DAY_EDGE = 600_000  # an attempt made this close to midnight may stand under the other day
HEARD = '{"code":0,"msg":"接收成功"}'  # the code must be a number
STATUS = {0: "still being reviewed", 2: "refused by the reviewers", 10: "withdrawn"}


class AliyunSms:
    """Sends through SendSms. `sign` without 【】; `templates` by our names; `receipt_secret` ends the receipts' URL."""

    guarantee: Guarantee = Query(lag=10_000, until=240_000)
    one_at_a_time = False

    def __init__(
        self, *, access_key_id: str, access_key_secret: str, sign: str, templates: Mapping[str, VendorTemplate], receipt_secret: str,
        clock: Clock, base_url: str = "https://dysmsapi.aliyuncs.com", timeout: float = 5.0,
    ) -> None:  # fmt: skip
        self._key_id, self._secret, self._sign = access_key_id, access_key_secret, sign
        self._templates, self._receipt_secret, self._clock = templates, receipt_secret, clock
        self._http = Http(base_url, timeout=timeout)
        self._host = urlsplit(base_url).netloc
        self.timeout = self._http.longest

    def send(self, message: Message) -> Outcome:
        """Hand one message over."""
        number = mobile_number(message.address)
        if number is None:
            return Rejected("bad_number", "not a mobile number", blames="address")
        text = filled(message.content, self._templates)
        if not isinstance(text, Filled):
            return text
        query = send_query(number, self._sign, text, message.key)
        return sent(self._call("SendSms", query))

    def look_up(self, message: Message) -> Accepted | Unknown:
        """Accepted when the vendor has a message with our OutId, whatever became of it; else Unknown: absence proves nothing."""
        number = mobile_number(message.address)
        if number is None:
            return Unknown("not a mobile number")
        with self._http.together():  # however many pages: what finds no time left is asked again later
            for detail in self._details(for_aliyun(number), message.at):
                if isinstance(detail, Unknown):
                    return detail
                if detail.get("OutId") == message.key:
                    return Accepted(text_of(detail, "BizId"))  # today's answer has no BizId; the receipt knows the message by our key
        return Unknown("not among the vendor's records")

    def hear(self, callback: Callback) -> Heard | Forged:
        """Receipts (SmsReport) and replies (SmsUp): Aliyun signs neither, so the URL ends with a secret."""
        if not knows_secret(callback.url, self._receipt_secret):
            return Forged("the URL does not end with the receipt secret")
        items = elements(callback.body)
        if items is None:
            return Heard(problems=("not a JSON array",), answer=HEARD)
        good, problems = read_each(items, read_push)
        return Heard(
            receipts=[r for r in good if isinstance(r, Receipt)], replies=[r for r in good if isinstance(r, Reply)],
            problems=problems, answer=HEARD,
        )  # fmt: skip

    def diagnose(self) -> list[Diagnosis]:
        """Asks for the sign and every template: this proves the keys, too, and messages nobody."""
        found = [self._diagnose_sign(), *(self._diagnose_template(name, template) for name, template in self._templates.items())]
        if not self._receipt_secret:
            cure = "set [channels.sms] receipt_secret, and end the receipts' URL in the console with it"
            found.append(Diagnosis("Aliyun receipts", ok=False, found="there is no receipt_secret: all are refused", cure=cure))
        return found

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def _call(self, action: str, query: Mapping[str, str]) -> Answer | NotSent | Lost:
        headers = signed_headers(
            query, action=action, version=VERSION, host=self._host, key_id=self._key_id, secret=self._secret,
            now=self._clock(), nonce=secrets.token_hex(16),
        )  # fmt: skip
        return self._http.request("POST", "/?" + encoded(query), headers=headers)

    def _details(self, number: str, at: int) -> Iterator[dict[str, Any] | Unknown]:
        for day in dict.fromkeys(local_day(at + shift) for shift in (0, -DAY_EDGE, DAY_EDGE)):
            for page in range(1, PAGES + 1):
                query = {"PhoneNumber": number, "SendDate": day, "PageSize": str(PAGE), "CurrentPage": str(page)}
                body = _body(self._call("QuerySendDetails", query))
                if isinstance(body, str):
                    yield Unknown(body)
                    return
                rows = details(body)
                yield from rows
                if len(rows) < PAGE:
                    break

    def _diagnose_sign(self) -> Diagnosis:
        what = f"Aliyun sign {self._sign}"
        body = _body(self._call("QuerySmsSign", {"SignName": self._sign}))
        if isinstance(body, str):
            return Diagnosis(what, ok=False, found=body, cure=cure_of(body, "sign: 国内消息 > 签名管理, without 【】"))
        if body.get("SignStatus") != 1:
            return Diagnosis(
                what, ok=False, found=_status(body, "SignStatus"), cure="wait for, or correct, the sign in 国内消息 > 签名管理"
            )
        return Diagnosis(what, ok=True, found="approved")

    def _diagnose_template(self, name: str, template: VendorTemplate) -> Diagnosis:
        what = f"Aliyun template {name} ({template.id})"
        body = _body(self._call("QuerySmsTemplate", {"TemplateCode": template.id}))
        if isinstance(body, str):
            cure = cure_of(body, f"[channels.sms.templates.{name}] id: 国内消息 > 模板管理, 模板CODE (SMS_…)")
            return Diagnosis(what, ok=False, found=body, cure=cure)
        if body.get("TemplateStatus") != 1:
            cure = "wait for, or correct, the template in 国内消息 > 模板管理"
            return Diagnosis(what, ok=False, found=_status(body, "TemplateStatus"), cure=cure)
        wanted, ours = variables(text_of(body, "TemplateContent")), set(template.fields.values())
        if ours and ours != wanted:
            found = f"its variables are {sorted(wanted)}, the configuration has {sorted(ours)}"
            return Diagnosis(what, ok=False, found=found, cure=f"make the fields of [channels.sms.templates.{name}] the same")
        return Diagnosis(what, ok=True, found="approved")


# --- pure


def send_query(number: str, sign: str, text: Filled, key: str) -> dict[str, str]:
    """The parameters of SendSms. All of a template's values are JSON texts: the vendor refuses numbers."""
    query = {"PhoneNumbers": for_aliyun(number), "SignName": sign, "TemplateCode": text.id, "OutId": key}
    if text.values:
        query["TemplateParam"] = orjson.dumps(dict(text.values)).decode()
    return query


def sent(answer: Answer | NotSent | Lost) -> Outcome:
    """What an answer to SendSms means. Only 200 with OK and a BizId is an acceptance; what is not understood is Unknown."""
    if isinstance(answer, NotSent):
        return RetryLater(5_000, answer.reason, whole_channel=True)
    if isinstance(answer, Lost):
        return Unknown(answer.reason)
    body = answer.json()
    code = body.get("Code") if body else None
    if body is None or not isinstance(code, str) or answer.status >= 500:  # noqa: PLR2004 - the server's own failures prove nothing
        return Unknown(f"HTTP {answer.status} without an answer of SendSms")
    if code == "OK":
        reference = body.get("BizId")
        if answer.status == 200 and isinstance(reference, str) and reference:  # noqa: PLR2004
            return Accepted(reference)
        return Unknown(f"HTTP {answer.status}, OK without a BizId")
    return outcome(code, text_of(body, "Message"))


def details(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The records of a QuerySendDetails answer."""
    holder = body.get("SmsSendDetailDTOs")
    rows = holder.get("SmsSendDetailDTO") if isinstance(holder, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def read_push(item: dict[str, Any]) -> Receipt | Reply | str:
    """One element of a push. A receipt has `success`, a reply has `content`; a text says what is wrong with it."""
    if "success" in item:
        return _read_receipt(item)
    if "content" in item:
        return _read_reply(item)
    return "neither a receipt nor a reply"


def variables(content: str) -> set[str]:
    """The variables of a template's text: ${name}."""
    return set(re.findall(r"\$\{(\w+)\}", content))


def cure_of(found: str, else_look_at: str) -> str:
    """Where to look for the cause of a refused query."""
    if found.startswith("no answer"):
        return "the network: this machine must reach the host of [channels.sms] base_url (DNS, firewall)"
    if "AccessKey" in found or "SignatureDoesNotMatch" in found:
        return "[channels.sms] access_key_id and access_key_secret: RAM console > 用户 > AccessKey"
    if "RAM" in found or "NoPermission" in found:
        return "give the RAM user AliyunDysmsFullAccess"
    if "TimeStamp" in found:
        return "set this machine's clock"
    return else_look_at


def _read_receipt(item: dict[str, Any]) -> Receipt | str:
    delivered, key, reference = item.get("success"), text_of(item, "out_id"), text_of(item, "biz_id")
    if not isinstance(delivered, bool):
        return "success is neither true nor false"
    if not key and not reference:
        return "neither out_id nor biz_id"
    code = text_of(item, "err_code")
    blames: Any = "consent" if code in RECEIPT_CONSENT and not delivered else "message"
    return Receipt(delivered, key, reference, code, without_numbers(text_of(item, "err_msg"))[:200], blames)


def _read_reply(item: dict[str, Any]) -> Reply | str:
    address = mobile_number(text_of(item, "phone_number"))
    content = item.get("content")
    if address is None or not isinstance(content, str):
        return "a reply without a mobile number or a text"
    key = text_of(item, "sequence_id") or f"{address} {text_of(item, 'send_time')} {content}"
    return Reply(key, address, content, local_instant(text_of(item, "send_time")))


def _body(answer: Answer | NotSent | Lost) -> dict[str, Any] | str:
    """The answer of a query; a text when it is none."""
    if not isinstance(answer, Answer):
        return f"no answer: {answer.reason}"
    body = answer.json()
    if body is None or not isinstance(body.get("Code"), str):
        return f"HTTP {answer.status} without an answer of Aliyun's"
    return body if body["Code"] == "OK" else reason_of(body["Code"], text_of(body, "Message"))


def _status(body: Mapping[str, Any], name: str) -> str:
    status = body.get(name)
    known = STATUS.get(status, f"status {status}") if isinstance(status, int) else "no status"
    reason = body.get("Reason")
    return f"{known}: {reason}" if isinstance(reason, str) and reason else known
