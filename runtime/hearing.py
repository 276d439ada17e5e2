"""What vendors and mini-program pages tell us: receipts, replies, subscriptions. Kept before it is answered.

A forged callback changes nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from channels.message import Callback, CreditNote, Forged, Heard, HearsBack, Receipt, Reply
from channels.sms.words import refuses
from journeys.duration import MINUTE
from journeys.values import clean_text, parse_time
from runtime.app import App
from runtime.intake.http import Intake
from runtime.intake.reading import Unreadable
from runtime.state import Event
from runtime.store import DatabaseError
from runtime.store.inbox import Quarantined
from runtime.store.writer import INTAKE, Closed

log = structlog.get_logger("journeyd.hearing")
LARGEST = 1 << 20  # bytes of a callback
LONGEST, LONGEST_ID = 2000, 256  # characters
Said = TypeVar("Said", Receipt, Reply, CreditNote)
MOST_RESULTS = 200
SUBSCRIPTION = "subscription"  # what a source must be allowed to assert to post the page's own results
ANSWERS = ("accept", "reject", "ban", "filter", "acceptWithAudio", "acceptWithAlert", "acceptWithForcePush")


class Hearing:
    """The routes that vendors call. `woken` after something was kept that moves people."""

    def __init__(self, app: App, intake: Intake, woken: Callable[[], None]) -> None:
        self.app, self.intake, self.woken = app, intake, woken

    def routes(self) -> list[Route]:
        """Receipts with and without the secret in the path, WeChat's callback, and the page's own subscription results."""
        return [
            Route("/receipts/{channel}", self.receipts, methods=["GET", "POST"]),
            Route("/receipts/{channel}/{secret}", self.receipts, methods=["GET", "POST"]),
            Route("/wechat/callback", self.wechat, methods=["GET", "POST"]),
            Route("/v1/subscriptions", self.subscriptions, methods=["POST"]),
            Route("/v1/subscriptions/", self.subscriptions, methods=["POST"]),
        ]

    async def receipts(self, request: Request) -> Response:
        """Delivery receipts and replies of a channel's vendor."""
        return await self._hear(request.path_params["channel"], request)

    async def wechat(self, request: Request) -> Response:
        """WeChat's message push: what people accepted or rejected, and what became of messages."""
        return await self._hear("wechat", request)

    async def _hear(self, lane: str, request: Request) -> Response:
        channel: Any = self.app.delivery.channels.get(lane)
        if not isinstance(channel, HearsBack):
            return JSONResponse({"error": "not_found", "reason": "this channel's adapter hears no callbacks"}, 404)
        try:
            body = await _limited_body(request)
        except ClientDisconnect:
            return JSONResponse({"error": "cut_off", "reason": "the request ended early"}, 400)
        if body is None:
            return JSONResponse({"error": "too_large", "reason": f"expected at most {LARGEST} bytes"}, 413)
        callback = Callback(request.method, self._public_url(request), dict(request.query_params), _headers(request), body)
        try:
            heard = await asyncio.to_thread(channel.hear, callback)
        except Exception:  # an adapter's bug: the vendor repeats what it said
            log.exception("a callback could not be read", action="callback_failed", channel=lane)
            return JSONResponse({"error": "unavailable"}, 503, {"Retry-After": "60"})
        if isinstance(heard, Forged):
            log.warning("a callback was not the vendor's", action="callback_forged", channel=lane, reason=heard.reason)
            return JSONResponse({"error": "forged", "reason": heard.reason}, 403)
        if not await self._kept(lambda tx, now: self.keep(tx, lane, heard, now)):
            return JSONResponse({"error": "unavailable"}, 503, {"Retry-After": "5"})
        return Response(heard.answer, media_type=heard.media_type)

    def _public_url(self, request: Request) -> str:
        """The URL that the vendor called: behind a proxy it is not the one we see."""
        public = self.app.project.settings.server.public_url or f"{request.url.scheme}://{request.url.netloc}"
        path = request.scope.get("raw_path") or request.url.path.encode()
        query = request.scope.get("query_string", b"")
        return public.rstrip("/") + (path + (b"?" + query if query else b"")).decode("latin-1")

    async def _kept(self, keep: Callable[[Any, int], bool]) -> bool:
        now = self.app.clock.now()
        try:
            moved = await asyncio.wrap_future(self.app.store.database.submit(lambda tx: keep(tx, now), INTAKE))
        except (Closed, DatabaseError) as error:
            log.warning("the database did not take a callback", action="callback_failed", error=type(error).__name__)
            return False
        if moved:
            self.woken()
        return True

    # --- keeping

    def keep(self, tx: Any, lane: str, heard: Heard, now: int) -> bool:
        """Everything that one callback said; True when it may move somebody."""
        moved = False
        for receipt in heard.receipts:
            moved |= self.app.delivery.settling.receipt(tx, lane, _clean(receipt), now)
        for reply in heard.replies:
            moved |= self._reply(tx, lane, _clean(reply), now)
        for note in heard.credits:
            self._credit(tx, lane, _clean(note), now)
        items = [Quarantined(lane, "a callback could not be read", clean_text(p)[:LONGEST], kind="callback") for p in heard.problems]
        self.app.store.inbox.quarantine(tx, items, now)
        return moved

    def _reply(self, tx: Any, lane: str, reply: Reply, now: int) -> bool:
        """A refusal withdraws marketing consent at once, whoever has the number; other words are an event of its users."""
        store = self.app.store
        if not store.contacts.first_time(tx, lane, reply.id, now):
            return False
        at = min(reply.at, now) if reply.at else now
        user_ids = store.contacts.whose(tx, "phone", reply.address)
        if refuses(reply.text):
            said = {"granted": False, "source": f"{lane} reply", "wording": clean_text(reply.text)[:40], "at": at}
            for user_id in user_ids:
                store.inbox.add_note(tx, user_id, "user", {"consents": {lane: {"marketing": said}}}, now, lock=True)
            store.contacts.suppress(tx, lane, reply.address, ("marketing",), f"{lane} reply", at)
            return bool(user_ids)
        if not user_ids:
            stranger = Quarantined(lane, "nobody is known by the number of a reply", clean_text(reply.text), kind="reply")
            store.inbox.quarantine(tx, [stranger], now)
        for user_id in user_ids:
            data = {"channel": lane, "text": clean_text(reply.text)[:1000]}
            store.inbox.add_events(tx, f"${lane}", [Event(f"reply:{reply.id}:{user_id}", "message_reply", user_id, at, now, data)])
        return bool(user_ids)

    def _credit(self, tx: Any, lane: str, note: CreditNote, now: int) -> None:
        """One accepted subscription more, or none at all.

        The page's own result and WeChat's event tell of the same tap: an acceptance of one template counts once per minute.
        """
        contacts = self.app.store.contacts
        if not contacts.first_time(tx, lane, note.id, now):
            return
        at = note.at or now
        if not note.accepted:
            contacts.no_credit(tx, note.address, note.template_id, at)
            return
        minute = at // MINUTE
        taps = [f"tap:{note.address}:{note.template_id}:{m}" for m in (minute - 1, minute, minute + 1)]
        if not contacts.known(tx, lane, taps) and contacts.first_time(tx, lane, taps[1], now):
            contacts.add_credit(tx, note.address, note.template_id, 1, at)

    # --- the page's own result

    async def subscriptions(self, request: Request) -> Response:
        """`{"openid", "results": {TEMPLATE: "accept" | "reject" | …}, "id"?, "time"?}`, one or a list, signed as events are."""
        taken = await self.intake.signed_value(request.scope, request.receive, self.app.clock.now())
        if isinstance(taken, Unreadable):
            return JSONResponse({"error": taken.reason, "reason": taken.detail}, taken.status)
        sender, request_id, value = taken
        if not any(fnmatchcase(SUBSCRIPTION, pattern) for pattern in sender.may_assert):
            return JSONResponse({"error": "may_not", "reason": f"source {sender.name} may not assert {SUBSCRIPTION}s"}, 403)
        notes, reasons = self._read(value if isinstance(value, list) else [value], request_id)

        def keep(tx: Any, now: int) -> bool:
            for note in notes:
                self._credit(tx, "wechat", note, now)
            return False

        if not await self._kept(keep):
            return JSONResponse({"error": "unavailable", "reason": "nothing was kept; send it again"}, 503, {"Retry-After": "5"})
        return JSONResponse({"accepted": len(notes), **({"reasons": reasons[:100]} if reasons else {})})

    def _read(self, items: Sequence[Any], request_id: str) -> tuple[list[CreditNote], list[dict[str, Any]]]:
        wechat = self.app.project.settings.channels.wechat
        ids = {name: template.id for name, template in wechat.templates.items()} if wechat is not None else {}
        notes: list[CreditNote] = []
        reasons: list[dict[str, Any]] = []
        for index, item in enumerate(items):
            openid, results = (item.get("openid"), item.get("results")) if isinstance(item, dict) else (None, None)
            if (
                not isinstance(openid, str)
                or not 0 < len(openid) <= LONGEST_ID
                or not isinstance(results, dict)
                or len(results) > MOST_RESULTS
            ):
                reasons.append({"index": index, "reason": "expected {openid, results: {TEMPLATE: accept or reject}}"})
                continue
            at = min(parse_time(item.get("time"), self.app.project.zone) or 0, self.app.clock.now())
            key = str(item.get("id") or f"{request_id}:{index}")[:256]
            for template, said in results.items():
                template_id = ids.get(str(template), str(template))
                if template_id not in ids.values() or said not in ANSWERS:
                    reasons.append({"index": index, "reason": f"{str(template)[:60]}: expected a template of config, and accept or reject"})
                    continue
                if said not in ("ban", "filter"):  # the vendor showed nothing: nobody said anything
                    notes.append(CreditNote(f"page:{key}:{template_id}", openid, template_id, str(said).startswith("accept"), at))
        return notes, reasons


def _clean(said: Said) -> Said:
    """What a vendor said, in texts that every database can hold and index."""
    texts: dict[str, Any] = {}
    for known in fields(said):
        value = getattr(said, known.name)
        if isinstance(value, str):
            texts[known.name] = clean_text(value)[: LONGEST if known.name in ("text", "reason") else LONGEST_ID]
    return replace(said, **texts)


async def _limited_body(request: Request) -> bytes | None:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _headers(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}
