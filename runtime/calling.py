"""Entries by call (`api: true`): what was asked for from outside goes through the same `enrol` as everything else that lets people in."""

from collections.abc import Mapping
from typing import Any

from runtime.facts import UserFacts
from runtime.session import Forwarded, Session
from runtime.state import Fact


def enter_by_call(session: Session, payload: Mapping[str, Any], at: int, now: int) -> None:
    """Let the user in, or those whom the entry's `user: EXPR` names; a refusal is kept.

    Raises LookupError when the journey can no longer be entered by call: it could when the call was taken.
    """
    journey, data, at = payload["journey"], payload["data"], payload.get("received_at", at)
    versioned = session.catalogue.current.get(journey)
    if versioned is None or versioned.journey.entry.form != "api":
        msg = f"journey {journey} cannot be entered by call any more; it could when the call came"
        raise LookupError(msg)
    session.arrive_at(at, now)
    targets: list[str] = [session.user.id]
    if versioned.journey.entry.user is not None and not payload.get("chosen"):
        facts = UserFacts(session.catalogue.audience, session.user, at, reach=session.reach, entry=data)
        found = versioned.journey.entry.user.test(facts)
        targets = [found] if isinstance(found, str) else list(found or ())
    for target in dict.fromkeys(targets):
        if target == session.user.id:
            session.enter(versioned, Fact("api", payload["id"], at, data), now)
        else:
            session.forwarded.append(Forwarded(target, "call", {**payload, "chosen": True, "received_at": at}))
    session.settle_unknown(at, now)
