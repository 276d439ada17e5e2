"""A stand-in of WeChat's mini-program server: stable_token, gettemplate and subscribe-message/send.

Its field rules are written down a second time, apart from those of channels/wechat/fields.py, so that neither hides the other's
mistake. Source: 订阅消息参数值内容限制说明.
"""

import re
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from channels.loopback.server import Response, Seen, Taken, Vendor

_HAN = "一-鿿㐀-䶿〇"
_DAY = r"(\d{4}年\d{1,2}月(\d{1,2}日)?|\d{1,2}月\d{1,2}日|\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2})"
_TIME = r"\d{1,2}:\d{2}(:\d{2})?"
_RULES = {
    "thing": r"[^\x00-\x1f\x7f]{1,20}",
    "number": r"(?=.{1,32}$)-?\d+(\.\d+)?",
    "letter": r"[A-Za-z]{1,32}",
    "symbol": rf"[^\w\s{_HAN}]{{1,5}}",
    "character_string": rf"[^{_HAN}\x00-\x1f\x7f]{{1,32}}",
    "time": rf"({_DAY} ?)?{_TIME}(~({_DAY} ?)?{_TIME})?",
    "date": rf"{_DAY}( ?{_TIME})?(~({_DAY}( ?{_TIME})?|{_TIME}))?",
    "amount": r"\D?\d{1,10}(\.\d+)?元?",
    "phone_number": r"[^A-Za-z\x00-\x1f]{1,17}",
    "car_number": rf"[{_HAN}A-Za-z0-9][A-Za-z0-9·]{{1,6}}[{_HAN}A-Za-z0-9]",
    "name": rf"(?=[^{_HAN}]{{1,20}}$|.{{1,10}}$)[^\d\x00-\x1f]+",
    "phrase": rf"[{_HAN}]{{1,5}}",
    "enum": r"[^\x00-\x1f]{1,20}",
}
MESSAGES = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40003: "invalid openid",
    40014: "invalid access_token",
    40037: "invalid template_id",
    40125: "invalid appsecret",
    40013: "invalid appid",
    41030: "invalid page",
    42001: "access_token expired",
    43101: "user refuse to accept the msg",
    43107: "subscribe message ability is banned",
    43108: "concurrent send to the same fan",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45168: "hit sensitive words",
    47003: "argument invalid! data.thing1.value invalid",
}


class Wechat(Vendor):
    """`templates` are ids with their field names. An openid is known when it is in `openids`, and gets one message per credit.

    `everyone` knows every openid and gives each endless credits (a demo's town). `refuse` answers an openid with a code. `busy`
    is how many seconds a message to an openid occupies it: another one meanwhile is 43108 (give it the server's latency).
    """

    name = "wechat"

    def __init__(
        self, *, appid: str = "wx0123456789abcdef", secret: str = "wechat-secret",  # noqa: S107 - a stand-in's
        templates: Mapping[str, Sequence[str]] | None = None, openids: Collection[str] = (), everyone: bool = False,
        refuse: Mapping[str, int] | None = None, busy: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.appid, self.secret, self.templates = appid, secret, dict(templates or {})
        self.openids, self.everyone, self.refuse_with, self.busy = set(openids), everyone, dict(refuse or {}), busy
        self.credits: dict[tuple[str, str], int] = {}
        self.tokens_issued = 0
        self.token_code = 40001  # how a token that is not good is refused: 40001, 40014 or 42001
        self.refuse_all_tokens = False
        self.lifetime = 7200
        self._token = ""
        self._occupied: dict[str, float] = {}

    def accept(self, openid: str, template_id: str, times: int = 1) -> None:
        """The person accepts messages of a template: each acceptance allows one."""
        self.openids.add(openid)
        self.credits[openid, template_id] = self.credits.get((openid, template_id), 0) + times

    def reject(self, openid: str, template_id: str) -> None:
        """The person refuses messages of a template: all credits are gone."""
        self.credits.pop((openid, template_id), None)

    def expire_token(self) -> None:
        """From now on the issued token is refused; the next request for one gets another."""
        self._token = ""

    def is_send(self, request: Seen) -> bool:
        """Sends alone, not tokens."""
        return request.path == "/cgi-bin/message/subscribe/send"

    def flow_control(self) -> Response:
        """45011, with HTTP 200 as always."""
        return self._error(45011)

    def take(self, key: str, address: str, content: Mapping[str, Any]) -> str:
        """As Vendor; WeChat's message ids are numbers."""
        reference = str(2_000_000_001 + len(self.taken))
        self.taken.append(Taken(key, reference, address, content))
        return reference

    def answer(self, request: Seen) -> Response:
        """The three calls that there are."""
        match request.method, request.path:
            case "POST", "/cgi-bin/stable_token":
                return self._issue(request.json())
            case "GET", "/wxaapi/newtmpl/gettemplate":
                return self._refuse_token(request) or self._list()
            case "POST", "/cgi-bin/message/subscribe/send":
                return self._refuse_token(request) or self._send(request.json())
        return self.refuse(f"{request.method} {request.path}", Response(404, "not found"))

    def _issue(self, body: Any) -> Response:
        if not isinstance(body, dict) or body.get("grant_type") != "client_credential":
            return self._error(40002, "invalid grant_type")
        if body.get("force_refresh"):
            return self.refuse("force_refresh", Response(200, {"errcode": 45009, "errmsg": "force_refresh is limited"}))
        if body.get("appid") != self.appid:
            return self._error(40013)
        if body.get("secret") != self.secret:
            return self._error(40125)
        if not self._token:
            self.tokens_issued += 1
            self._token = f"{self.tokens_issued}_token/+="  # real ones hold signs that must be quoted in a URL
        return Response(200, {"access_token": self._token, "expires_in": self.lifetime})

    def _refuse_token(self, request: Seen) -> Response | None:
        good = self._token and request.query.get("access_token") == self._token and not self.refuse_all_tokens
        return None if good else self._error(self.token_code)

    def _list(self) -> Response:
        data = [
            {"priTmplId": id_, "title": id_, "content": "".join(f"{f}:{{{{{f}.DATA}}}}\n" for f in fields), "example": "", "type": 2}
            for id_, fields in self.templates.items()
        ]
        return Response(200, {"errcode": 0, "errmsg": "ok", "data": data})

    def _send(self, body: Any) -> Response:
        if not isinstance(body, dict):
            return self._error(47001, "data format error")
        openid, template, data = body.get("touser"), body.get("template_id"), body.get("data")
        problem = self._problem(openid, template, body, data)
        if problem is not None:
            return problem
        pair = (str(openid), str(template))
        if not self.everyone:
            if self.credits.get(pair, 0) < 1:
                return self._error(43101)
            self.credits[pair] -= 1
        self._occupied[pair[0]] = time.monotonic() + self.busy
        reference = self.take("", pair[0], {k: v for k, v in body.items() if k != "touser"})
        return Response(200, {"errcode": 0, "errmsg": "ok", "msgid": int(reference)})

    def _problem(self, openid: Any, template: Any, body: Mapping[str, Any], data: Any) -> Response | None:
        if template not in self.templates:
            return self._error(40037)
        if not openid or not isinstance(openid, str) or not (self.everyone or openid in self.openids):
            return self._error(40003)
        if openid in self.refuse_with:
            return self._error(self.refuse_with[openid])
        if body.get("miniprogram_state", "formal") not in {"developer", "trial", "formal"}:
            return self._error(47003, "argument invalid! miniprogram_state")
        field = wrong_field(self.templates[template], data)
        if field is not None:
            return self._error(47003, f"argument invalid! data.{field}.value invalid rid: 6360d8d8-0a1b2c3d-5e6f7a8b")
        return self._error(43108) if self._occupied.get(openid, 0.0) > time.monotonic() else None

    def _error(self, code: int, text: str = "") -> Response:
        errmsg = text or MESSAGES.get(code, "error")
        return self.refuse(f"{code} {errmsg}", Response(200, {"errcode": code, "errmsg": errmsg}))


def wrong_field(fields: Sequence[str], data: Any) -> str | None:
    """The first field of a template that is missing, unknown to it, or breaks the rule of its type."""
    if not isinstance(data, dict):
        return fields[0] if fields else "thing1"
    for field in [*fields, *data]:
        value = data[field].get("value") if isinstance(data.get(field), dict) else None
        rule = _RULES.get(field.rstrip("0123456789"))
        if field not in fields or rule is None or not isinstance(value, str) or re.fullmatch(rule, value) is None:
            return str(field)
    return None
