"""A stand-in of JPush v3: GET /v3/push/cid and POST /v3/push, with basic authentication."""

import base64
import json
from collections.abc import Collection, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from channels.loopback.server import Response, Seen, Taken, Vendor

_MOST = 10
_IOS_LARGEST, _ANDROID_LARGEST = 2000, 4000
_KEYS = frozenset({"cid", "platform", "audience", "notification", "message", "options", "sms_message"})
_STATUS = {1000: 500, 1004: 401, 1020: 404, 1030: 503, 2002: 429, 2003: 403, 2004: 403, 2005: 403, 2006: 403, 2007: 403}


class JPushServer(Vendor):
    """Devices are known by `registration_ids`; `everyone` knows all. `cids` are issued ones, beside those that it issues.

    The same cid is answered as the first time, without a second push. `refuse` answers a registration id with a code.
    """

    name = "jpush"

    def __init__(
        self, *, app_key: str = "7d431e42dfa6a6d693ac2d04", master_secret: str = "5e987ac6d2e04d95a9d8f0d1",  # noqa: S107 - a stand-in's
        registration_ids: Collection[str] = (), everyone: bool = False, cids: Collection[str] = (), refuse: Mapping[str, int] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.app_key, self.master_secret = app_key, master_secret
        self.registration_ids, self.everyone, self.refuse_with = set(registration_ids), everyone, dict(refuse or {})
        self.cids = set(cids)
        self.answered: dict[str, Response] = {}
        self._issued = 0

    def is_send(self, request: Seen) -> bool:
        """Pushes alone, not cids."""
        return request.path == "/v3/push"

    def flow_control(self) -> Response:
        """429 with code 2002 and when to come again."""
        headers = {"X-Rate-Limit-Limit": "600", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "2"}
        return Response(429, {"error": {"code": 2002, "message": "Request times of the app_key exceed the limit"}}, headers)

    def answer(self, request: Seen) -> Response:
        """The two calls that there are."""
        wanted = base64.b64encode(f"{self.app_key}:{self.master_secret}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {wanted}":
            return self._error(1004, "Authen failed")
        match request.method, request.path:
            case "GET", "/v3/push/cid":
                return self._issue(request.query.get("count", "1"))
            case "POST", "/v3/push":
                return self._push(request.json())
        return self.refuse(f"{request.method} {request.path}", Response(404, {}))

    def _issue(self, count: str) -> Response:
        if not count.isdigit() or not 1 <= int(count) <= _MOST:
            return self._error(1003, "count is invalid")
        fresh: list[str] = []
        for _ in range(int(count)):
            self._issued += 1
            fresh.append(f"{self.app_key}-{uuid5(NAMESPACE_URL, str(self._issued))}")
        self.cids.update(fresh)
        return Response(200, {"cidlist": fresh})

    def _push(self, body: Any) -> Response:
        problem = _problem(body)
        if problem is not None:
            return self._error(*problem)
        cid = str(body.get("cid") or "")
        if cid and cid not in self.cids:
            return self._error(1003, "cid is invalid")
        if cid in self.answered:
            return self.answered[cid]
        ids = body["audience"]["registration_id"]
        refused = [i for i in ids if i in self.refuse_with]
        if refused:
            code = self.refuse_with[refused[0]]
            return self.flow_control() if code == 2002 else self._error(code, f"refused by the test: {code}")  # noqa: PLR2004
        known = [i for i in ids if self.everyone or i in self.registration_ids]
        if not known:
            return self._error(1011, "cannot find user by this audience")
        reference = ""
        for registration_id in known:
            reference = self.take(cid, registration_id, {"notification": body["notification"], "options": body.get("options", {})})
        response = Response(200, {"sendno": "0", "msg_id": reference})
        if cid:
            self.answered[cid] = response
        return response

    def take(self, key: str, address: str, content: Mapping[str, Any]) -> str:
        """As Vendor; JPush's message ids are digits."""
        reference = str(18_100_287_008_546_001 + len(self.taken))
        self.taken.append(Taken(key, reference, address, content))
        return reference

    def _error(self, code: int, text: str) -> Response:
        return self.refuse(f"{code} {text}", Response(_STATUS.get(code, 400), {"error": {"code": code, "message": text}}))


def _problem(body: Any) -> tuple[int, str] | None:
    """What is wrong with a push object: the code and the text."""
    if not isinstance(body, dict):
        return 1003, "the body is no JSON object"
    strange = set(body) - _KEYS
    if strange:
        return 1009, f"unsupported key {min(strange)}"
    if not body.get("platform") or not isinstance(body.get("audience"), dict):
        return 1002, "missing parameter: platform or audience"
    ids = body["audience"].get("registration_id")
    if not isinstance(ids, list) or not ids or not all(isinstance(i, str) and i for i in ids):
        return 1003, "registration_id is invalid"
    notification = body.get("notification")
    if not isinstance(notification, dict) or not notification:
        return 1002, "missing parameter: notification"
    sizes = [(notification.get("ios"), _IOS_LARGEST), (notification.get("android"), _ANDROID_LARGEST)]
    if any(part is not None and len(json.dumps(part, ensure_ascii=False).encode()) > most for part, most in sizes):
        return 1005, "the message is too long"
    live = (body.get("options") or {}).get("time_to_live", 0)
    return None if isinstance(live, int) and 0 <= live <= 15 * 86_400 else (1003, "time_to_live is invalid")
