"""What is said of a user, in her turn: traits, tags, identities, consents, her zone; by the operator, by vendors, by files."""

from collections.abc import Callable, Mapping
from typing import Any

from journeys.localtime import zone_named
from runtime.catalogue import Catalogue
from runtime.edges import Edges
from runtime.policy import PersonReach, Reach
from runtime.profile import change_tags, definitions_of, take_record
from runtime.state import MOVING, SEVERAL, Consent, Event, LogEntry, User
from runtime.told import news_of, note_record

SHARED = ("phone", "email")  # identities that several may have
CONTESTED = ("openid", "unionid")  # identities of one person: what another user has is not hers as well
LoadReach = Callable[[frozenset[str], dict[str, User] | None], dict[str, PersonReach]]
HolderOf = Callable[[str, str], str]  # of a kind and a value: another user who has it


class Records(Edges):
    """The part of a user's turn (`Session`) that takes what is said of her. The lists are what came out of it."""

    def __init__(self, catalogue: Catalogue, user: User, reach: Reach, load_reach: LoadReach) -> None:
        super().__init__(catalogue, user, reach)
        self.load_reach = load_reach
        self.consents: list[Consent] = []
        self.identified: dict[str, str | None] = {}  # kinds that changed, with their values now
        self.dead: set[tuple[str, str]] = set()  # of these, the ones that a vendor calls dead
        self.holder_of: HolderOf = lambda kind, value: ""  # noqa: ARG005 - nobody, until the engine says who
        self._reach_behind = False

    def gave_back(self, kind: str, value: str) -> bool:
        """Whether an identity that was hers is not any more, by what was said in this turn."""
        if kind not in self.identified:
            return False
        told = self.identified[kind]
        return told is None if kind in SEVERAL else told != value

    def take_record(self, payload: Mapping[str, Any], at: int, *, quietly: bool = False) -> bool:
        """Take what a record says; whether she has moved to a zone where stored hours of the day are other ones.

        What came a while ago and is read again only now (`came`), or is history, does not replace what was told since.
        """
        user, audience = self.user, self.catalogue.audience
        came = payload.get("came")
        if quietly or came is not None:
            payload = self._still_news(payload, None if quietly else came)
        if not quietly:
            note_record(user, payload, at if came is None else came)
        zone = zone_named(str(payload["zone"])) if payload.get("zone") else None
        if zone is not None and zone != user.zone:
            self._moved_from, user.zone = user.zone, zone
        moved = zone is not None and user.profile.get("d") != definitions_of(audience, user)
        take_record(audience, user, payload)
        change_tags(user, payload.get("tags") or [], payload.get("remove_tags") or [])
        self._identify(
            payload.get("identities") or {}, payload.get("dead") or {}, payload.get("moved") or {}, at, late=quietly or came is not None
        )
        self._consent(payload.get("consents") or {}, str(payload.get("source", "")), at, quietly=quietly)
        self.user_changed = True
        return moved

    def _still_news(self, payload: Mapping[str, Any], came: int | None) -> Mapping[str, Any]:
        """See `told`. A phone that is not taken is not hers for whoever looks it up either: intake has noted it by now."""
        news, known = news_of(self.user, payload, came), self.user.reach.get("identities", {})
        given, taken = payload.get("identities") or {}, news.get("identities") or {}
        self.identified |= {kind: known.get(kind) for kind in SHARED if kind in given and kind not in taken}
        return news

    def _identify(
        self, given: Mapping[str, Any], dead: Mapping[str, str], moved: Mapping[str, str], at: int, *, late: bool
    ) -> None:  # fmt: skip
        """Take identities (null forgets one), drop addresses that a vendor calls dead, unless they have changed since, and those that
        have gone to another user. An openid that another user has is not taken: one person would get what is meant for two.
        """
        known = self.user.reach.get("identities", {})
        contested = (*CONTESTED, MOVING) if late else CONTESTED  # what is said late does not know who has a phone now
        refused = {k for k in contested if given.get(k) and given[k] != known.get(k) and self.holder_of(k, given[k])}
        gone: dict[str, None] = {}
        for kind, value in dead.items():
            if known.get(kind) == value:
                gone[kind] = None
                self.dead.add((kind, value))
                self.log.append(LogEntry(at, "address_dropped", "", {"kind": kind}))
        for kind, value in moved.items():
            to = self.holder_of(kind, value) if known.get(kind) == value and self.identified.get(kind) != value else ""
            if to:
                gone[kind] = None
                self.log.append(LogEntry(at, "address_moved", "", {"kind": kind, "to": to}))
        changes = {**{kind: value for kind, value in given.items() if kind not in refused}, **gone}
        if changes:
            self.user.reach["identities"] = _merged(known, changes)
            self.identified |= changes

    def _consent(self, given: Mapping[str, Mapping[str, Any]], source: str, at: int, *, quietly: bool) -> None:
        """Take what the user said: the latest answer counts, and of one instant's the no. A no to a yes is a fact that journeys may use.

        Of answers without a date the inbox has the order: each daemon dates them by its own clock, and one may be ahead.
        """
        if not given:
            return
        said_at: dict[str, int] = dict(self.user.reach.get("said", {}))
        consents = {channel: dict(purposes) for channel, purposes in self.user.reach.get("consents", {}).items()}
        for channel, purposes in given.items():
            for purpose, answer in purposes.items():
                said = answer if isinstance(answer, dict) else {"granted": answer}
                granted, when = bool(said["granted"]), int(said.get("at", at))
                who, wording = str(said.get("source") or source), str(said.get("wording") or "")
                consent = Consent(self.user.id, channel, purpose, granted, who, wording, when)
                self.consents.append(consent)
                name, before = f"{channel}.{purpose}", consents.setdefault(channel, {}).get(purpose)
                last, in_order = said_at.get(name, 0), "at" not in said
                if before is not None and ((when < last and not in_order) or (when == last and granted)):
                    continue
                consents[channel][purpose], said_at[name] = granted, max(when, last)
                if before is not granted:
                    self._consent_changed(consent, at, quietly=quietly)
        self.user.reach["consents"], self.user.reach["said"] = consents, said_at

    def _consent_changed(self, consent: Consent, at: int, *, quietly: bool) -> None:
        why: dict[str, Any] = {"channel": consent.channel, "purpose": consent.purpose, "source": consent.source}
        if consent.said_at != at:  # it is evidence of when it was said, not of when it was received
            why["said_at"] = consent.said_at
        self.log.append(LogEntry(at, "consent_given" if consent.granted else "consent_withdrawn", "", why))
        if not consent.granted and not quietly:
            data = {"channel": consent.channel, "purpose": consent.purpose}
            name = f"consent_withdrawn:{consent.channel}.{consent.purpose}@{consent.said_at}"
            self.system.append(Event(name, "consent_withdrawn", self.user.id, at, at, data))

    def refresh_reach(self) -> None:
        """What can be sent follows the row; another address has other credits and refusals."""
        self._reach_behind = False
        person = self.reach.people.get(self.user.id)
        if person is None:
            return
        if self.identified:
            loaded = self.load_reach(frozenset({self.user.id}), {self.user.id: self.user}).get(self.user.id)
            if loaded is not None:
                loaded.touches = person.touches
                self.reach.people[self.user.id] = loaded
            return
        person.zone = self.user.zone
        person.consents = self.user.reach.get("consents", {})
        person.addresses = self.user.reach.get("identities", {})


def _merged(before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Given values over those before, one level deeper for mappings (consents name channel, then purpose); null forgets."""
    merged = dict(before)
    for key, value in given.items():
        old = merged.get(key)
        merged[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        if value is None:
            del merged[key]
    return merged
