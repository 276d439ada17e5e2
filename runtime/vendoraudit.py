"""The audit of `demo --vendors`: the ledger beside what the stand-in vendors really took, message by message."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from channels.loopback.server import Taken
from channels.message import Message, VendorTemplate
from channels.wechat.subscribe import build_body
from runtime.app import App
from runtime.settings import Project
from runtime.vendortown import COUPONS, VendorTown

ARRIVED = ("ACCEPTED", "DELIVERED", "UNDELIVERED")
REFUSED = ("REJECTED", "SUPPRESSED", "EXPIRED")
MOST_WHYS = 3


@dataclass(frozen=True)
class VendorSeen:
    """What one vendor saw, and what settled the attempts at it whose end was unknown."""

    vendor: str
    requests: int
    taken: int
    refused: dict[str, int]
    unknown: dict[str, int]


@dataclass(frozen=True, slots=True)
class Claim:
    """What the ledger says about one message at one vendor: `said` is yes, no or doubt.

    The vendor knows it by `mark` (our key, where it is told one), else by its own `reference` and the `words`, else by the words.
    """

    key: str
    said: str
    mark: str = ""
    reference: str = ""
    words: str = ""


@dataclass
class Audit:
    """Where ledger and vendors contradict each other: nothing, when all is well."""

    compared: int = 0
    missing: list[str] = field(default_factory=list)  # the ledger says yes, the vendor does not have it
    contradicted: list[str] = field(default_factory=list)  # the vendor has it, the ledger says no or has never heard of it
    twice: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.missing or self.contradicted or self.twice)

    def as_json(self) -> dict[str, Any]:
        """Numbers, and the first of each kind."""
        kinds = {"missing": self.missing, "contradicted": self.contradicted, "twice": self.twice}
        examples = [f"{kind}: {text}" for kind, texts in kinds.items() for text in texts[:5]]
        return {"clean": self.clean, "compared": self.compared, **{k: len(v) for k, v in kinds.items()}, "examples": examples}


def vendor_of(lane: str) -> str:
    """The stand-in that a lane sends to."""
    kind, _, name = lane.partition(":")
    if kind == "grant":
        return "wechatpay" if name in COUPONS else "benefit"
    return {"sms": "aliyun", "push": "jpush", "robot": "wecom", "call": "endpoint", "email": "smtp"}.get(kind, kind)


def seen_by(app: App, town: VendorTown) -> tuple[VendorSeen, ...]:
    """What each vendor saw, in one fixed order."""
    with app.store.database.reading() as tx:
        doubts = app.store.reports.doubts(tx)
    unknown: dict[str, Counter[str]] = {}
    for lane, counts in doubts.items():
        unknown.setdefault(vendor_of(lane), Counter()).update(counts)
    seen = [(v.name, v.requests, v.taken, v.refused) for v in town.vendors]
    seen.append(("smtp", len(town.smtp.logins), town.smtp.taken, town.smtp.refused))
    return tuple(
        VendorSeen(name, requests, len(taken), dict(Counter(refused).most_common()), dict(unknown.get(name, {})))
        for name, requests, taken, refused in seen
    )


def compare_all(app: App, town: VendorTown, user_ids: Iterable[str]) -> Audit:
    """Every attempt of the ledger against everything that the vendors took."""
    claims: dict[str, list[Claim]] = {}
    messages: dict[str, dict[str, Any]] = {}
    for user_id in user_ids:
        with app.store.database.reading() as tx:
            messages |= {m["key"]: m for m in app.store.reports.story(tx, user_id).messages}
    for message in messages.values():
        for lane, claim in _claims(message, app.project, town):
            claims.setdefault(vendor_of(lane), []).append(claim)
    found = Audit(len(messages))
    for vendor in (*town.vendors, town.smtp):
        name = getattr(vendor, "name", "smtp")
        compare(name, claims.get(name, []), [(t.key, t.reference, _words_of(name, t)) for t in vendor.taken], found)
    return found


def _claims(message: Mapping[str, Any], project: Project, town: VendorTown) -> Iterator[tuple[str, Claim]]:
    """One claim per lane that the message was tried on."""
    lanes: dict[str, list[dict[str, Any]]] = {}
    for attempt in message["attempted"]:
        lanes.setdefault(attempt["lane"], []).append(attempt)
    for lane, attempts in lanes.items():
        states = {attempt["state"] for attempt in attempts}
        yes = states & {*ARRIVED} or (message["state"] in ARRIVED and message["lane"] == lane)
        doubt = states & {"UNKNOWN", "SENDING"} and message["state"] not in REFUSED
        said, last, key = "yes" if yes else "doubt" if doubt else "no", attempts[-1], message["key"]
        vendor = vendor_of(lane)
        if vendor in ("wechat", "wecom"):
            content = last["content"] or message["content"]
            address = town.robots.get(lane.partition(":")[2], last["address"] or "")
            words = _wechat_words(content, address, project) if vendor == "wechat" else f"{address} {content.get('text')}"
            yield lane, Claim(key, said, reference=last["reference"] or "", words=words)
        else:
            yield lane, Claim(key, said, {"jpush": last["vendor_key"], "wechatpay": f"jd{key}"}.get(vendor, key))


def _wechat_words(content: Mapping[str, Any], address: str, project: Project) -> str:
    """What WeChat would be sent: its body, made by the adapter's own pure function."""
    wechat: Any = project.settings.channels.wechat
    templates = {name: VendorTemplate(t.id, t.fields) for name, t in wechat.templates.items()}
    body = build_body(Message("", "", 0, "message", "wechat", address, "", "", 0, "", content), templates, wechat.state, wechat.lang)
    return json.dumps(json.loads(body) if isinstance(body, bytes) else {}, sort_keys=True)


def _words_of(vendor: str, taken: Taken) -> str:
    if vendor == "wechat":
        return json.dumps({"touser": taken.address, **taken.content}, sort_keys=True)
    return f"{taken.address} {taken.content.get('text')}" if vendor == "wecom" else ""


def compare(vendor: str, claims: Sequence[Claim], taken: Sequence[tuple[str, str, str]], found: Audit) -> None:
    """Note in `found` what does not fit; `taken` are (mark, reference, words) of what the vendor has."""
    marks = Counter(mark for mark, _, _ in taken if mark)
    claimed = {claim.mark: claim for claim in claims if claim.mark}
    found.twice += [f"{vendor} took {mark} {n} times" for mark, n in marks.items() if n > 1]
    found.contradicted += [f"{vendor} has {m}" for m in marks if m not in claimed or claimed[m].said == "no"]
    found.missing += [f"{vendor} has no {claim.key}" for m, claim in claimed.items() if claim.said == "yes" and not marks[m]]
    exact = Counter((reference, words) for mark, reference, words in taken if not mark)
    words_left = Counter(words for mark, _, words in taken if not mark)
    unmarked = [claim for claim in claims if not claim.mark]
    for claim in sorted(unmarked, key=lambda c: ("yes", "doubt", "no").index(c.said)):
        has = exact[claim.reference, claim.words] if claim.reference else words_left[claim.words]
        if has > 0 and claim.said != "no":
            exact[claim.reference, claim.words] -= 1
            words_left[claim.words] -= 1
        elif claim.said == "yes":
            found.missing.append(f"{vendor} has no {claim.key}")
    arrived = {claim.words for claim in unmarked if claim.said == "yes"}
    for words, n in words_left.items():
        if n > 0:
            (found.twice if words in arrived else found.contradicted).append(f"{vendor} has {n} more: {words[:120]}")
