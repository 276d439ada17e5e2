"""WeChat Pay 代金券 (cash coupons): `wechatpayv3` signs, verifies and knows the paths; the bytes go through channels/http.py.

The library's own requests have no limit of size, follow redirects and take proxies from the environment: here they do not.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from wechatpayv3 import WeChatPay, WeChatPayType  # type: ignore[import-untyped]
from wechatpayv3.type import RequestType  # type: ignore[import-untyped]
from wechatpayv3.utils import build_authorization, rsa_verify  # type: ignore[import-untyped]

from channels.http import Answer, Http, Lost, NotSent
from channels.message import Accepted, Clock, Diagnosis, Fault, Guarantee, Key, Message, Outcome, Rejected, RetryLater, Unknown
from channels.webhook import HOUR, MINUTE, SECOND, told

GATEWAY = "https://api.mch.weixin.qq.com"
NUMBER_PREFIX = "jd"  # of out_request_no, which may hold letters, digits, |, _, * and -
ALGORITHM = "WECHATPAY2-SHA256-RSA2048"
CLOCK_TOLERANCE = 5 * MINUTE  # WeChat Pay refuses a signature whose time is further off

_OPENID = re.compile(r"[A-Za-z0-9_-]{1,128}")
# Names: the list of errors of 发放代金券 (pay.weixin.qq.com, v3/marketing/favor/users/{openid}/coupons) and the common ones of v3.
# Numbers: those of 2026-06 (VENDORS.md, 6).
_REFUSED = {
    "NOT_ENOUGH": "the stock's budget is used up", "270079534": "the stock's budget is used up",
    "RULE_LIMIT": "the person has as many as the stock allows", "RULELIMIT": "the person has as many as the stock allows",
    "270079532": "the person has as many as the stock allows", "270079533": "the stock is not running",
    "USER_ACCOUNT_ABNORMAL": "the person's account may not take coupons", "ACCOUNT_ERROR": "the person's account may not take coupons",
    "PARAM_ERROR": "a parameter is wrong, or the stock is not running",
    "INVALID_REQUEST": "the openid is not of this appid, or the stock is over",
}  # fmt: skip
_FAULTS = {
    "SIGN_ERROR": "the signature is wrong: check private_key, serial_no and the clock", "MCH_NOT_EXISTS": "no such merchant: check mchid",
    "APPID_MCHID_NOT_MATCH": "bind the appid to the merchant", "NO_AUTH": "the merchant may not hand out coupons",
    "REQUEST_BLOCKED": "the merchant may not hand out this stock", "RESOURCE_NOT_EXISTS": "no such stock: check stock_id",
}  # fmt: skip
_TOO_FAST = {"FREQUENCY_LIMIT_EXCEED", "FREQUENCY_LIMITED", "RATELIMIT_EXCEEDED", "RATELIMIT_EXCEED", "268461336"}
_OF_THE_PERSON = ("限领", "活动")  # REQUEST_BLOCKED also says: her limit is reached; the activity has not begun or is over


class _Broken(Exception):
    def __init__(self, answer: NotSent | Lost) -> None:
        super().__init__(answer.reason)
        self.answer = answer


class _Wire:
    """Takes the place of the library's core: it signs and verifies, we carry. Keeps the instant that the last answer was signed at."""

    def __init__(self, core: Any, http: Http) -> None:
        self._core, self._http = core, http
        self.signed_at: int | None = None

    def request(self, path: str, method: Any = RequestType.GET, data: Any = None) -> tuple[int, str]:
        """As the library's core: the status and the text; raises _Broken for no answer, and for one that is not WeChat Pay's."""
        core, body = self._core, json.dumps(data) if data else ""
        signature = build_authorization(path, method.value, core._mchid, core._cert_serial_no, core._private_key, data=body)  # noqa: SLF001 - the library keeps them so
        headers = {
            "Content-Type": "application/json", "Accept": "application/json", "Authorization": signature,
            "Wechatpay-Serial": core._public_key_id,  # noqa: SLF001 - as above
        }  # fmt: skip
        answer = self._http.request(method.value, path, body=body.encode(), headers=headers)
        if not isinstance(answer, Answer):
            raise _Broken(answer)
        text = answer.body.decode("utf-8", "replace")
        if 200 <= answer.status < 300 and not self._is_theirs(answer, text):  # noqa: PLR2004
            raise _Broken(Lost("the answer's signature is not WeChat Pay's"))
        return answer.status, text

    def _is_theirs(self, answer: Answer, text: str) -> bool:
        said = {
            name: answer.headers.get(f"wechatpay-{name}", "") for name in ("signature", "timestamp", "nonce", "serial", "signature-type")
        }
        if said["signature-type"] != ALGORITHM or said["serial"] != self._core._public_key_id:  # noqa: SLF001 - as above
            return False
        genuine = bool(rsa_verify(said["timestamp"], said["nonce"], text, said["signature"], self._core._public_key))  # noqa: SLF001 - as above
        if genuine and said["timestamp"].isdecimal():
            self.signed_at = int(said["timestamp"][:12]) * SECOND
        return genuine


class WeChatPayCoupon:
    """One stock of coupons. `out_request_no` is "jd" + the grant's own key, in every attempt.

    WeChat Pay hands out one coupon per number: "接口支持幂等重入" (发放代金券, 2024-09), without saying for how long: a day is counted on.
    5xx and lost answers are repeated with the same number, as its page says (after 1, 3, 10, 30 s).
    """

    guarantee: Guarantee = Key(24 * HOUR)
    one_at_a_time = True  # several coupons to one person at once are said to be refused by RULE_LIMIT although the rules allow them
    timeout = 8_000

    def __init__(  # noqa: PLR0913 - one per key of config
        self, *, mchid: str, appid: str, stock_id: str, stock_creator_mchid: str, serial_no: str, private_key: str, apiv3_key: str,
        public_key: str, public_key_id: str, clock: Clock, base_url: str = GATEWAY, timeout: float = 5.0,
    ) -> None:  # fmt: skip
        self._stock_id, self._creator, self._clock = stock_id, stock_creator_mchid or mchid, clock
        self._http = Http(base_url, timeout=timeout)
        keys = {"public_key": public_key, "public_key_id": public_key_id}
        try:
            self._pay = WeChatPay(WeChatPayType.MINIPROG, mchid, private_key, serial_no, appid, apiv3_key, **keys)
        except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
            raise ValueError(f"private_key, public_key or public_key_id cannot be used: {error}") from None
        self._wire = _Wire(self._pay._core, self._http)  # noqa: SLF001 - the library has no other place for it
        self._pay._core = self._wire  # noqa: SLF001 - as above
        self.timeout = self._http.longest

    def send(self, message: Message) -> Outcome:
        """One coupon."""
        if not _OPENID.fullmatch(message.address):
            return Rejected("bad_openid", "the address is no openid", blames="address")
        try:
            status, text = self._pay.marketing_favor_stock_send(
                stock_id=self._stock_id,
                openid=message.address,
                out_request_no=NUMBER_PREFIX + message.key,
                stock_creator_mchid=self._creator,
            )
        except _Broken as broken:
            return _no_answer(broken.answer)
        return outcome_of(status, text, message.address)

    def look_up(self, message: Message) -> Unknown:  # noqa: ARG002 - the protocol's signature
        """Coupons are found by their id, not by our number: a repeat with the same number is the question."""
        return Unknown("a repeat with the same out_request_no tells")

    def diagnose(self) -> Sequence[Diagnosis]:
        """Ask for the stock: a signed read that hands out nothing."""
        what = f"WeChat Pay stock {self._stock_id}"
        try:
            status, text = self._pay.marketing_favor_stock_detail(self._creator, self._stock_id)
        except _Broken as broken:
            cure = "check public_key and public_key_id" if "signature" in broken.answer.reason else "check the network and base_url"
            return [Diagnosis(what, ok=False, found=broken.answer.reason, cure=cure)]
        said = _object(text)
        state = str(said.get("status", ""))
        if status != 200:  # noqa: PLR2004
            code = str(said.get("code", status))
            return [Diagnosis(what, ok=False, found=code, cure=_FAULTS.get(code, "see the codes in docs/channels/benefits.md"))]
        return [
            Diagnosis(what, ok=state == "running", found=state or "no status", cure="" if state == "running" else "activate the stock"),
            self._diagnose_clock(),
        ]

    def _diagnose_clock(self) -> Diagnosis:
        off = abs(self._clock() - (self._wire.signed_at or 0))
        fine = off < CLOCK_TOLERANCE
        found = f"{off // SECOND} s away from WeChat Pay's"
        return Diagnosis(
            "clock", ok=fine, found=found, cure="" if fine else "set the machine's clock: signatures are refused after 5 minutes"
        )

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()


def outcome_of(status: int, text: str, private: str = "") -> Outcome:
    """What an answer means, by the code's name or number; an unlisted one leaves it unknown. `private` is not repeated."""
    said = _object(text)
    if status == 200:  # noqa: PLR2004
        coupon = said.get("coupon_id")
        return Accepted(coupon, {"code": coupon}) if isinstance(coupon, str) and coupon else Unknown("an answer without coupon_id")
    code, words = str(said.get("code", "")), told(said.get("message", ""), private)
    if code in _TOO_FAST:
        return RetryLater(SECOND, f"{code}: at most 500 a second", whole_channel=True)
    if status >= 500 or status < 400:  # noqa: PLR2004
        return Unknown(f"answered {status} {code}".strip())
    if code in _REFUSED:
        return Rejected(code, words or _REFUSED[code])
    if code == "REQUEST_BLOCKED" and any(word in words for word in _OF_THE_PERSON):
        return Rejected(code, words)
    if code in _FAULTS:
        return Fault(code, f"{_FAULTS[code]} ({words})" if words else _FAULTS[code], 10 * MINUTE)
    if status == 401:  # noqa: PLR2004 - whatever the code: it was not let in
        return Fault(code or "401", _FAULTS["SIGN_ERROR"], 10 * MINUTE)
    return Unknown(f"answered {status} {code}, which is not listed")


def _no_answer(answer: NotSent | Lost) -> Outcome:
    return RetryLater(5 * SECOND, answer.reason, whole_channel=True) if isinstance(answer, NotSent) else Unknown(answer.reason)


def _object(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
