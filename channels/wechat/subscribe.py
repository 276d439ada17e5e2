"""Subscribe messages (订阅消息) of a WeChat mini-program: POST /cgi-bin/message/subscribe/send.

WeChat has no idempotency key and cannot be asked what became of a message, so an attempt that nobody knows the end of is never
repeated. Its answers are HTTP 200 with an `errcode`; what each code means is the table in `read_answer`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

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
    Rejected,
    RetryLater,
    Tokens,
    Unknown,
    VendorTemplate,
)
from channels.wechat import callback as callbacks
from channels.wechat.fields import kind_of, shorten
from channels.wechat.token import NoToken, StableToken, TokenRefused, errcode, read_token, with_token

TOKEN_CODES = frozenset({40001, 40014, 42001})
_CHINA = timezone(timedelta(hours=8))
_NAMED_FIELD = re.compile(r"data\.(\w+)\.value")
_KEYWORD = re.compile(r"\{\{(\w+)\.DATA\}\}")
_HOUR = 3_600_000


def build_body(message: Message, templates: Mapping[str, VendorTemplate], state: str, lang: str) -> bytes | Rejected | Fault:
    """The JSON to post, its values shortened to fit; else which field cannot fit, or that config does not know the template."""
    content = message.content
    name, data = str(content.get("template", "")), content.get("data")
    template = templates.get(name)
    if template is None:
        return Fault("template_not_configured", f"config declares no WeChat template {name!r}", _HOUR, "template")
    values = _values(template, data if isinstance(data, Mapping) else {})
    if isinstance(values, Rejected):
        return values
    body: dict[str, Any] = {"touser": message.address, "template_id": template.id, "miniprogram_state": state, "lang": lang}
    if content.get("page"):
        body["page"] = str(content["page"])
    body["data"] = values
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def _values(template: VendorTemplate, data: Mapping[str, Any]) -> dict[str, dict[str, str]] | Rejected:
    values: dict[str, dict[str, str]] = {}
    for ours, theirs in template.fields.items():
        if ours not in data:
            return Rejected("invalid_field", f"{ours}: the template wants it and it is missing")
        found = str(data[ours])
        fitting = shorten(kind_of(theirs), found)
        if fitting is None:
            return Rejected("invalid_field", f"{ours}: {found[:60]!r} does not fit a field of type {kind_of(theirs)} ({theirs})")
        values[theirs] = {"value": fitting}
    strange = sorted(set(data) - set(template.fields))
    if strange:
        return Rejected("invalid_field", f"{strange[0]}: the template has no such field")
    return values


def next_day(now: int) -> int:
    """Milliseconds from `now` to the next 00:05 in China (UTC+8), when WeChat's daily counts have begun anew."""
    local = datetime.fromtimestamp(now / 1000, UTC).astimezone(_CHINA)
    day = local.replace(hour=0, minute=5, second=0, microsecond=0)
    day = day if day > local else day + timedelta(days=1)
    return round((day - local).total_seconds() * 1000)


def read_answer(  # noqa: C901, PLR0911, PLR0912 - one case per documented code
    answer: Answer | NotSent | Lost, now: int, fields: Mapping[str, str]
) -> Outcome | TokenRefused:
    """What an answer means. `fields` are our field names with the vendor's, to name a refused field as the journey does.

    Source: the error table of subscribe-message/send and WeChat's common codes. Any other code is Unknown: it may have been sent.
    """
    if isinstance(answer, NotSent):
        return RetryLater(5_000, answer.reason, whole_channel=True)
    if isinstance(answer, Lost):
        return Unknown(answer.reason)
    found = errcode(answer)
    if found is None:
        return Unknown(f"HTTP {answer.status} without an errcode")
    code, reason = found
    name = str(code)
    match code:
        case 0:
            return Accepted(_message_id(answer))
        case -1:
            return RetryLater(5_000, f"WeChat is busy: {reason}")
        case 43108:
            return RetryLater(2_000, f"another message to this person is on its way: {reason}")
        case 40001 | 40014 | 42001:
            return TokenRefused(name, reason)
        case 40003:
            return Rejected(name, f"no openid of this mini-program: {reason}", "address")
        case 40037:
            return Fault(name, f"WeChat does not know the template: {reason}", _HOUR, "template")
        case 41030:
            return Fault(name, f"the page is not in the published mini-program: {reason}", _HOUR, "template")
        case 43101:
            return Rejected(name, f"no subscription left: {reason}", "credit")
        case 43107:
            return Fault(name, f"WeChat has banned subscribe messages or this template: {reason}", _HOUR)
        case 45009:
            return RetryLater(next_day(now), f"the daily limit is reached: {reason}", whole_channel=True)
        case 45011:
            return RetryLater(60_000, f"too many messages a minute: {reason}", whole_channel=True)
        case 45168:
            return Rejected(name, _naming_field("sensitive words", reason, fields))
        case 47003:
            return Rejected(name, _naming_field("a field was refused", reason, fields))
    return Unknown(f"errcode {code} is not documented for this call: {reason}")


def _message_id(answer: Answer) -> str:
    """`msgid` where WeChat gives it: the sent event names it again."""
    found = (answer.json() or {}).get("msgid", "")
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def _naming_field(what: str, reason: str, fields: Mapping[str, str]) -> str:
    named = _NAMED_FIELD.search(reason)
    ours = [mine for mine, theirs in fields.items() if named and theirs == named[1]]
    return f"{', '.join(ours)}: {what}: {reason}" if ours else f"{what}: {reason}"


class WechatSubscribe:
    """The channel. `templates` by the names that journeys use; `state` is formal, trial or developer.

    `callback_token` and `callback_aes_key` are those of the console's 消息推送; without a token every callback is refused, and with
    an AES key only encrypted ones are believed. `timeout` (seconds) bounds a whole send, also where the token has to be fetched, is
    refused, and is fetched again.
    """

    guarantee: Guarantee = Neither()
    one_at_a_time = True  # WeChat refuses two messages to one openid at once (43108)

    def __init__(  # noqa: PLR0913 - the keys of config
        self, *, appid: str, secret: str, templates: Mapping[str, VendorTemplate], tokens: Tokens, clock: Clock, state: str = "formal",
        lang: str = "zh_CN", callback_token: str = "", callback_aes_key: str = "", base_url: str = "https://api.weixin.qq.com",
        timeout: float = 5.0,
    ) -> None:  # fmt: skip
        self._http = Http(base_url, timeout=timeout)
        self._appid, self._secret, self._templates, self._clock = appid, secret, dict(templates), clock
        self._state, self._lang = state, lang
        self._callback_token, self._callback_aes_key = callback_token, callback_aes_key
        self._token = StableToken(name=f"wechat:{appid}", fetch=self._fetch_token, tokens=tokens, clock=clock)
        self.timeout = self._http.longest

    def send(self, message: Message) -> Outcome:
        """Send one message; a refused token is renewed once."""
        body = build_body(message, self._templates, self._state, self._lang)
        if not isinstance(body, bytes):
            return body
        fields = self._templates[str(message.content["template"])].fields

        def post(token: str) -> Outcome | TokenRefused:
            path = f"/cgi-bin/message/subscribe/send?access_token={quote(token, safe='')}"
            answer = self._http.request("POST", path, body=body, headers={"Content-Type": "application/json"})
            return read_answer(answer, self._clock(), fields)

        with self._http.together():
            return with_token(self._token, post)

    def look_up(self, message: Message) -> Unknown:  # noqa: ARG002 - the protocol's signature
        """Unknown: WeChat offers no query. A sent event names the message id, where the answer with it arrived."""
        return Unknown("WeChat cannot be asked what became of a message")

    def hear(self, callback: Callback) -> Heard | Forged:
        """Subscriptions, refusals and what became of messages, from {public_url}/wechat/callback."""
        secrets = callbacks.Secrets(self._appid, self._callback_token, self._callback_aes_key)
        return callbacks.hear(callback, secrets)

    def diagnose(self) -> Sequence[Diagnosis]:
        """The token, then every template and its fields, then the callback's settings. Nobody is messaged."""
        token = self._token.get()
        if not isinstance(token, str):
            cure = "check appid, secret and the IP whitelist: console, 开发管理 > 开发设置"
            return [Diagnosis("access token", ok=False, found=token.reason, cure=cure), self._diagnose_callback()]
        answer = self._http.request("GET", f"/wxaapi/newtmpl/gettemplate?access_token={quote(token, safe='')}")
        return [
            Diagnosis("access token", ok=True, found="WeChat issued one"),
            *diagnose_templates(answer, self._templates),
            self._diagnose_callback(),
        ]

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def _diagnose_callback(self) -> Diagnosis:
        if not self._callback_token:
            return Diagnosis("callback", ok=True, found="callback_token is not set: only the page's own reports give credits")
        if self._callback_aes_key and callbacks.aes_key(self._callback_aes_key) is None:
            cure = "copy EncodingAESKey (43 characters) from the console, 开发管理 > 消息推送, to callback_aes_key"
            return Diagnosis("callback", ok=False, found=f"callback_aes_key has {len(self._callback_aes_key)} characters", cure=cure)
        return Diagnosis("callback", ok=True, found="safe mode" if self._callback_aes_key else "plain mode")

    def _fetch_token(self) -> tuple[str, int] | NoToken:
        body = {"grant_type": "client_credential", "appid": self._appid, "secret": self._secret, "force_refresh": False}
        raw = json.dumps(body).encode()
        answer = self._http.request("POST", "/cgi-bin/stable_token", body=raw, headers={"Content-Type": "application/json"})
        return read_token(answer, "appid, secret and the IP whitelist of the mini-program")


def diagnose_templates(answer: Answer | NotSent | Lost, templates: Mapping[str, VendorTemplate]) -> Sequence[Diagnosis]:
    """Whether WeChat has each configured template, with exactly its fields, by the answer of gettemplate."""
    body = answer.json() if isinstance(answer, Answer) else None
    listed = body.get("data") if body and body.get("errcode") == 0 else None
    if not isinstance(listed, list):
        found = f"HTTP {answer.status}: {(body or {}).get('errmsg', 'unreadable')}" if isinstance(answer, Answer) else answer.reason
        return [Diagnosis("templates", ok=False, found=found, cure="try again; if it stays, give the account the 订阅消息 ability")]
    known = {str(t.get("priTmplId")): _KEYWORD.findall(str(t.get("content"))) for t in listed if isinstance(t, dict)}
    return [_diagnose_template(name, template, known) for name, template in templates.items()]


def _diagnose_template(name: str, template: VendorTemplate, known: Mapping[str, Sequence[str]]) -> Diagnosis:
    what = f"template {name}"
    if template.id not in known:
        cure = f"copy the template's id from the console, 功能 > 订阅消息 > 我的模板, to channels.wechat.templates.{name}.id"
        return Diagnosis(what, ok=False, found=f"the account has no template {template.id!r}", cure=cure)
    wanted, ours = set(known[template.id]), set(template.fields.values())
    if wanted != ours:
        cure = f"let channels.wechat.templates.{name}.fields name exactly {', '.join(sorted(wanted))}"
        return Diagnosis(what, ok=False, found=f"WeChat has {sorted(wanted)}, config has {sorted(ours)}", cure=cure)
    return Diagnosis(what, ok=True, found=f"fields {', '.join(sorted(wanted))}")
