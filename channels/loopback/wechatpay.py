"""A stand-in of WeChat Pay's coupons: it verifies the merchant's RSA signature and signs its answers like the real one."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from channels.loopback.server import Response, Seen, Vendor
from channels.message import Clock

SCHEME = "WECHATPAY2-SHA256-RSA2048"
TOLERANCE = 300  # seconds
_FIELD = re.compile(r'(\w+)="([^"]*)"')
_GRANT = re.compile(r"/v3/marketing/favor/users/([A-Za-z0-9_-]{1,128})/coupons")
_STOCK = re.compile(r"/v3/marketing/favor/stocks/(\w+)")
_NUMBER = re.compile(r"[A-Za-z0-9|_*-]{1,128}")


@dataclass
class Stock:
    """A stock of coupons: how many there are, how many one person may have, and whether it runs."""

    left: int = 1_000_000
    per_person: int = 1_000_000
    running: bool = True


class WeChatPayVendor(Vendor):
    """Knows one merchant. `merchant_key` is the public key of its certificate, `platform_key` WeChat Pay's private one (both PEM)."""

    name = "wechatpay"

    def __init__(
        self, *, mchid: str, appid: str, serial_no: str, merchant_key: str, platform_key: str, public_key_id: str,
        stocks: Mapping[str, Stock], clock: Clock,
    ) -> None:  # fmt: skip
        super().__init__()
        self._mchid, self._appid, self._serial_no, self._public_key_id = mchid, appid, serial_no, public_key_id
        self._merchant: Any = load_pem_public_key(merchant_key.encode())
        platform = load_pem_private_key(platform_key.encode(), None)
        assert isinstance(platform, rsa.RSAPrivateKey)  # noqa: S101 - a stand-in's own key
        self._platform = platform
        self._stocks, self._clock = dict(stocks), clock
        self._answered: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def answer(self, request: Seen) -> Response:
        """Verify, then hand out or describe."""
        problem = self._problem(request)
        if problem:
            return self.refuse(problem, self._signed(401, {"code": "SIGN_ERROR", "message": problem}))
        stock = _STOCK.fullmatch(request.path)
        if request.method == "GET" and stock:
            return self._describe(stock[1])
        grant = _GRANT.fullmatch(request.path)
        if request.method != "POST" or not grant:
            return self._no(404, "RESOURCE_NOT_EXISTS", "no such path")
        return self._hand_out(grant[1], request.json())

    def flow_control(self) -> Response:
        """Too fast."""
        return self._signed(429, {"code": "FREQUENCY_LIMIT_EXCEED", "message": "接口限频"})

    def _hand_out(self, openid: str, body: Any) -> Response:
        wanted = {"stock_id", "out_request_no", "stock_creator_mchid", "appid"}
        if not isinstance(body, dict) or set(body) != wanted or not all(isinstance(v, str) for v in body.values()):
            return self._no(400, "PARAM_ERROR", f"expected {sorted(wanted)}")
        if not _NUMBER.fullmatch(body["out_request_no"]):
            return self._no(400, "PARAM_ERROR", "out_request_no")
        if body["appid"] != self._appid:
            return self._no(400, "APPID_MCHID_NOT_MATCH", "商户号与appid不匹配")
        request = {**body, "openid": openid}
        if body["out_request_no"] in self._answered:
            first, said = self._answered[body["out_request_no"]]
            same = first == request
            return self._signed(200, said) if same else self._no(400, "RESOURCE_ALREADY_EXISTS", "本次请求与上次请求信息不一致")
        stock = self._stocks.get(body["stock_id"])
        if stock is None or body["stock_creator_mchid"] != self._mchid:
            return self._no(404, "RESOURCE_NOT_EXISTS", "批次不存在")
        if not stock.running:
            return self._no(400, "INVALID_REQUEST", "活动已结束或未激活")
        if stock.left <= 0:
            return self._no(403, "NOT_ENOUGH", "批次预算不足")
        if sum(t.address == openid and t.content["stock_id"] == body["stock_id"] for t in self.taken) >= stock.per_person:
            return self._no(403, "RULE_LIMIT", "用户已达最大领券次数")
        stock.left -= 1
        said = {"coupon_id": self.take(body["out_request_no"], openid, body)}
        self._answered[body["out_request_no"]] = (request, said)
        return self._signed(200, said)

    def _describe(self, stock_id: str) -> Response:
        stock = self._stocks.get(stock_id)
        if stock is None:
            return self._no(404, "RESOURCE_NOT_EXISTS", "批次不存在")
        return self._signed(200, {"stock_id": stock_id, "status": "running" if stock.running else "paused"})

    def _no(self, status: int, code: str, words: str) -> Response:
        return self.refuse(f"{code}: {words}", self._signed(status, {"code": code, "message": words}))

    def _problem(self, request: Seen) -> str:
        scheme, _, fields = request.headers.get("authorization", "").partition(" ")
        given = dict(_FIELD.findall(fields))
        if scheme != SCHEME or given.get("mchid") != self._mchid or given.get("serial_no") != self._serial_no:
            return "the Authorization is not of this merchant"
        if request.headers.get("wechatpay-serial") != self._public_key_id:
            return "Wechatpay-Serial is not the id of our public key"
        seconds = given.get("timestamp", "")
        if not seconds.isdecimal() or abs(int(seconds) - self._clock() // 1000) > TOLERANCE:
            return "the timestamp is not of now"
        target = request.path + (f"?{request.raw_query}" if request.raw_query else "")
        signed = f"{request.method}\n{target}\n{seconds}\n{given.get('nonce_str', '')}\n".encode() + request.body + b"\n"
        try:
            self._merchant.verify(base64.b64decode(given.get("signature", "")), signed, padding.PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return "the signature does not fit"
        return ""

    def _signed(self, status: int, said: Mapping[str, Any]) -> Response:
        body = json.dumps(said, ensure_ascii=False)
        seconds, nonce = str(self._clock() // 1000), f"n{self.requests}"
        raw = self._platform.sign(f"{seconds}\n{nonce}\n{body}\n".encode(), padding.PKCS1v15(), SHA256())
        headers = {
            "Wechatpay-Timestamp": seconds, "Wechatpay-Nonce": nonce, "Wechatpay-Serial": self._public_key_id,
            "Wechatpay-Signature": base64.b64encode(raw).decode(), "Wechatpay-Signature-Type": SCHEME,
        }  # fmt: skip
        return Response(status, body, headers)
