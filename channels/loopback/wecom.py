"""A stand-in of WeCom: gettoken, agent/get, message/send, and webhook/send of group robots."""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from channels.loopback.server import Response, Seen, Vendor

_LARGEST = 2048
MESSAGES = {
    -1: "system busy",
    40001: "invalid credential",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40056: "invalid agentid",
    42001: "access_token expired",
    44004: "content is empty",
    45002: "content size out of limit",
    45009: "api freq out of limit",
    60020: "not allow to access from your ip",
    81013: "user & party & tag all invalid",
    93000: "invalid webhook url",
}


class Wecom(Vendor):
    """Members are known by `members` (case does not matter), groups by the keys of their robots in `robots`.

    `everyone` knows every member. `refuse` answers a member, or a robot's key, with a code. Of a robot, `address` in `taken` is its key.
    With `enable_duplicate_check` identical JSON is answered alike and not taken again, as the real one does.
    """

    name = "wecom"

    def __init__(
        self, *, corp_id: str = "ww0123456789abcdef", agent_id: int = 1000002, secret: str = "wecom-secret",  # noqa: S107 - a stand-in's
        members: Collection[str] = (), everyone: bool = False, robots: Collection[str] = (), refuse: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.corp_id, self.agent_id, self.secret = corp_id, agent_id, secret
        self.members, self.everyone, self.robots = {m.lower() for m in members}, everyone, set(robots)
        self.refuse_with = dict(refuse or {})
        self.tokens_issued = 0
        self.token_code = 40014
        self.refuse_all_tokens = False
        self._token = ""
        self._seen: dict[str, str] = {}

    def expire_token(self) -> None:
        """From now on the issued token is refused; the next request for one gets another."""
        self._token = ""

    def is_send(self, request: Seen) -> bool:
        """Sends alone, not tokens."""
        return request.path in {"/cgi-bin/message/send", "/cgi-bin/webhook/send"}

    def flow_control(self) -> Response:
        """45009, with HTTP 200 as always."""
        return self._error(45009)

    def answer(self, request: Seen) -> Response:
        """The four calls that there are."""
        match request.method, request.path:
            case "GET", "/cgi-bin/gettoken":
                return self._issue(request.query)
            case "GET", "/cgi-bin/agent/get":
                return self._refuse_token(request) or self._agent(request.query.get("agentid", ""))
            case "POST", "/cgi-bin/message/send":
                return self._refuse_token(request) or self._send(request)
            case "POST", "/cgi-bin/webhook/send":
                return self._post(request)
        return self.refuse(f"{request.method} {request.path}", Response(404, "not found"))

    def _issue(self, query: Mapping[str, str]) -> Response:
        if query.get("corpid") != self.corp_id:
            return self._error(40013)
        if query.get("corpsecret") != self.secret:
            return self._error(40001)
        if not self._token:
            self.tokens_issued += 1
            self._token = f"wecom-token/{self.tokens_issued}+="
        return Response(200, {"errcode": 0, "errmsg": "ok", "access_token": self._token, "expires_in": 7200})

    def _refuse_token(self, request: Seen) -> Response | None:
        good = self._token and request.query.get("access_token") == self._token and not self.refuse_all_tokens
        return None if good else self._error(self.token_code)

    def _agent(self, agent_id: str) -> Response:
        if agent_id != str(self.agent_id):
            return self._error(40056)
        return Response(200, {"errcode": 0, "errmsg": "ok", "agentid": self.agent_id, "name": "团长助手", "close": 0})

    def _send(self, request: Seen) -> Response:
        body = request.json()
        if not isinstance(body, dict) or body.get("msgtype") != "text":
            return self._error(40008, "invalid message type")
        if body.get("agentid") != self.agent_id:
            return self._error(40056)
        problem = self._text_problem(body)
        if problem is not None:
            return problem
        names = [n for n in str(body.get("touser", "")).split("|") if n]
        if len(names) == 1 and names[0] in self.refuse_with:
            return self._error(self.refuse_with[names[0]])
        known = [n for n in names if self.everyone or n.lower() in self.members]
        if not known:
            return self._error(81013)
        digest = hashlib.sha256(request.body).hexdigest()
        reference = self._seen.get(digest, "") if body.get("enable_duplicate_check") == 1 else ""
        for name in known if not reference else ():
            reference = self.take("", name, {"text": body["text"]["content"]})
        self._seen[digest] = reference
        strangers = "|".join(n.lower() for n in names if n not in known)
        return Response(200, {"errcode": 0, "errmsg": "ok", "invaliduser": strangers, "msgid": reference})

    def _post(self, request: Seen) -> Response:
        key = request.query.get("key", "")
        if key in self.refuse_with:
            return self._error(self.refuse_with[key])
        if key not in self.robots:
            return self._error(93000)
        body = request.json()
        if not isinstance(body, dict) or body.get("msgtype") != "text":
            return self._error(40008, "invalid message type")
        problem = self._text_problem(body)
        if problem is not None:
            return problem
        self.take("", key, {"text": body["text"]["content"]})
        return Response(200, {"errcode": 0, "errmsg": "ok"})

    def _text_problem(self, body: Mapping[str, Any]) -> Response | None:
        text = body.get("text")
        content = text.get("content") if isinstance(text, dict) else None
        if not isinstance(content, str) or not content:
            return self._error(44004)
        return self._error(45002) if len(content.encode()) > _LARGEST else None

    def _error(self, code: int, text: str = "") -> Response:
        errmsg = text or MESSAGES.get(code, "error")
        return self.refuse(f"{code} {errmsg}", Response(200, {"errcode": code, "errmsg": errmsg}))
