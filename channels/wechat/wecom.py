"""WeCom (企业微信): messages of an application to members, and texts of a group robot into its group."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from channels.http import Answer, Http, Lost, NotSent
from channels.message import (
    Accepted,
    Clock,
    Diagnosis,
    Fault,
    Guarantee,
    Message,
    Neither,
    Outcome,
    Rejected,
    RetryLater,
    Tokens,
    Unknown,
)
from channels.wechat.token import NoToken, StableToken, TokenRefused, errcode, read_token, with_token

LARGEST_TEXT = 2048  # bytes of UTF-8: a robot refuses more, an application's message is cut by WeCom without a word
_HOUR = 3_600_000
_JSON = {"Content-Type": "application/json"}
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# Of the list of global return codes (developer.work.weixin.qq.com/document/path/90313).
_NO_MEMBER = frozenset({40003, 40031, 60111, 81013, 82001})
_REFUSED_CONTENT = frozenset({40008, 40033, 40035, 40058, 41004, 44004, 45002})
_MISCONFIGURED = frozenset({40013, 40056, 48002, 60011, 60020, 301002, 301007, 93000, 93004, 93008})


def read_text(message: Message) -> str | Rejected:
    """The text to send, unless it is empty or longer than WeCom takes."""
    text = str(message.content.get("text", "")).encode("utf-8", "replace").decode()
    if not text.strip():
        return Rejected("empty", "the text is empty")
    size = len(text.encode())
    if size > LARGEST_TEXT:
        return Rejected("too_long", f"the text has {size} bytes, WeCom takes {LARGEST_TEXT} (about 680 Chinese characters)")
    return text


def read_answer(answer: Answer | NotSent | Lost) -> Outcome | TokenRefused:
    """What an answer of message/send or webhook/send means; a code that is not in the lists above is Unknown."""
    if isinstance(answer, NotSent):
        return RetryLater(5_000, answer.reason, whole_channel=True)
    if isinstance(answer, Lost):
        return Unknown(answer.reason)
    found = errcode(answer)
    if found is None:
        return Unknown(f"HTTP {answer.status} without an errcode")
    code, reason = found
    if code == 0:
        return Accepted(str((answer.json() or {}).get("msgid") or ""))
    if code in {40001, 40014, 42001}:
        return TokenRefused(str(code), reason)
    if code in {-1, 6000}:
        return RetryLater(5_000, f"WeCom is busy: {reason}")
    if code in {45009, 45033}:
        return RetryLater(60_000, f"too many calls: {reason}", whole_channel=True)
    if code in _NO_MEMBER:
        return Rejected(str(code), f"no member that this application may write to: {reason}", "address")
    if code in _REFUSED_CONTENT:
        return Rejected(str(code), reason)
    if code in _MISCONFIGURED:
        return Fault(str(code), reason, _HOUR)
    return Unknown(f"errcode {code} is not documented for this call: {reason}")


def read_sent(answer: Answer | NotSent | Lost, member: str) -> Outcome | TokenRefused:
    """As `read_answer` for one member: WeCom says 0 and lists those whom it left out."""
    outcome = read_answer(answer)
    if not isinstance(outcome, Accepted) or not isinstance(answer, Answer):
        return outcome
    body = answer.json() or {}
    if _is_listed(member, body.get("invaliduser")):
        return Rejected("invaliduser", "no member of this name may see the application", "address")
    if _is_listed(member, body.get("unlicenseduser")):
        return Rejected("unlicenseduser", "the member has no licence for the application's interface")
    return outcome


def _is_listed(member: str, listed: Any) -> bool:
    """WeCom answers user ids in lower case, whatever their own case is."""
    return isinstance(listed, str) and member.lower() in listed.lower().split("|")


class WecomApp:
    """Texts of an application (自建应用) to members by their user id.

    **No guarantee, on purpose.** WeCom's `enable_duplicate_check` swallows a request whose JSON is identical to one of the last
    `duplicate_check_interval` seconds and answers 0 as if it had been sent. It goes by content and not by a key of ours, so it
    cannot tell a repeat of one attempt from a second message with the same words (two orders, one "您有新的团单"), and would swallow
    the latter silently: a false "accepted". A Key would therefore be honest only if every text named its message; nothing here
    can know that. So the check is left off, attempts whose end is unknown are not repeated, and real repeats arrive.

    `timeout` (seconds) bounds a whole send, also where the token is fetched, refused and fetched again.
    """

    guarantee: Guarantee = Neither()
    one_at_a_time = False

    def __init__(
        self, *, corp_id: str, agent_id: int, secret: str, tokens: Tokens, clock: Clock,
        base_url: str = "https://qyapi.weixin.qq.com", timeout: float = 5.0,
    ) -> None:  # fmt: skip
        self._http = Http(base_url, timeout=timeout)
        self._corp_id, self._agent_id, self._secret = corp_id, int(agent_id), secret
        self._token = StableToken(name=f"wecom:{corp_id}:{agent_id}", fetch=self._fetch_token, tokens=tokens, clock=clock)
        self.timeout = self._http.longest

    def send(self, message: Message) -> Outcome:
        """Send one text to one member."""
        text = read_text(message)
        if isinstance(text, Rejected):
            return text
        member = message.address
        if not member or "|" in member or member.lower() == "@all":
            return Rejected("invalid_address", "not the user id of one member", "address")  # | and @all reach many people at once
        body = {
            "touser": member, "msgtype": "text", "agentid": self._agent_id, "text": {"content": text}, "safe": 0,
            "enable_duplicate_check": 0,
        }  # fmt: skip
        raw = _encode(body)

        def post(token: str) -> Outcome | TokenRefused:
            path = f"/cgi-bin/message/send?access_token={quote(token, safe='')}"
            return read_sent(self._http.request("POST", path, body=raw, headers=_JSON), member)

        with self._http.together():
            return with_token(self._token, post)

    def look_up(self, message: Message) -> Unknown:  # noqa: ARG002 - the protocol's signature
        """Unknown: WeCom offers no query by anything of ours."""
        return Unknown("WeCom cannot be asked what became of a message")

    def diagnose(self) -> Sequence[Diagnosis]:
        """The token, then the application itself (agent/get). Nobody is messaged."""
        token = self._token.get()
        if not isinstance(token, str):
            cure = "check corp_id (我的企业 > 企业ID), secret (应用管理 > the application) and the application's 企业可信IP"
            return [Diagnosis("access token", ok=False, found=token.reason, cure=cure)]
        path = f"/cgi-bin/agent/get?access_token={quote(token, safe='')}&agentid={self._agent_id}"
        return [
            Diagnosis("access token", ok=True, found="WeCom issued one"),
            diagnose_agent(self._http.request("GET", path), self._agent_id),
        ]

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def _fetch_token(self) -> tuple[str, int] | NoToken:
        path = f"/cgi-bin/gettoken?corpid={quote(self._corp_id, safe='')}&corpsecret={quote(self._secret, safe='')}"
        return read_token(self._http.request("GET", path), "corp_id, secret and the application's 企业可信IP")


def diagnose_agent(answer: Answer | NotSent | Lost, agent_id: int) -> Diagnosis:
    """Whether the application exists and is switched on, by the answer of agent/get."""
    what = f"application {agent_id}"
    if not isinstance(answer, Answer):
        return Diagnosis(what, ok=False, found=answer.reason, cure="try again; check base_url and the network")
    found = errcode(answer)
    if found is None or found[0] != 0:
        cure = "copy AgentId and Secret of one application from 应用管理 to agent_id and secret"
        return Diagnosis(what, ok=False, found=f"{found[0]} {found[1]}" if found else f"HTTP {answer.status}", cure=cure)
    body = answer.json() or {}
    if body.get("close") == 1:
        return Diagnosis(what, ok=False, found=f"{body.get('name')!r} is switched off", cure="switch it on in 应用管理")
    return Diagnosis(what, ok=True, found=f"{body.get('name')!r}")


class WecomRobot:
    """Texts of a group robot (群机器人) into the one group that it was added to: whoever the recipient is, the group reads it.

    No guarantee: the webhook has neither a key nor a query. WeCom takes 20 texts a minute from one robot.
    """

    guarantee: Guarantee = Neither()
    one_at_a_time = False

    def __init__(
        self, *, key: str, clock: Clock | None = None, base_url: str = "https://qyapi.weixin.qq.com", timeout: float = 5.0
    ) -> None:  # fmt: skip
        del clock  # every adapter is given one; a webhook signs nothing
        self._http = Http(base_url, timeout=timeout)
        self._key = key
        self.timeout = self._http.longest

    def send(self, message: Message) -> Outcome:
        """Post one text into the group."""
        text = read_text(message)
        if isinstance(text, Rejected):
            return text
        path = f"/cgi-bin/webhook/send?key={quote(self._key, safe='')}"
        raw = _encode({"msgtype": "text", "text": {"content": text}})
        outcome = read_answer(self._http.request("POST", path, body=raw, headers=_JSON))
        if isinstance(outcome, TokenRefused):  # a webhook has no token: these codes are not documented for it
            return Unknown(f"errcode {outcome.code}: {outcome.reason}")
        return outcome

    def look_up(self, message: Message) -> Unknown:  # noqa: ARG002 - the protocol's signature
        """Unknown: a webhook cannot be asked."""
        return Unknown("a group robot cannot be asked what became of a message")

    def diagnose(self) -> Sequence[Diagnosis]:
        """The shape of the key alone: every request to a webhook posts into the group."""
        if _UUID.fullmatch(self._key) is None:
            cure = "copy what follows key= in the robot's Webhook address to robots.NAME.key, and nothing else"
            return [Diagnosis("robot key", ok=False, found="it is not shaped like a webhook's key", cure=cure)]
        return [Diagnosis("robot key", ok=True, found="shaped like one; not tried, because every request posts into the group")]

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()


def _encode(body: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8: WeCom refuses escapes such as u4e00 (40033)."""
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
