"""What a send step sends: the first position that works (or all), rendered, with its key. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from journeys.compiled import CompiledJourney, CompiledStep, PositionSpec, SendSpec
from journeys.template import CannotRender, render
from runtime.facts import UserFacts
from runtime.policy import Drop, Hold, PersonReach, Reach, Sending, Touch, first_stop, may_send, robot_reach
from runtime.state import Enrolment, NewMessage, stable_key


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing goes now; the step is asked again when the hold is over."""

    hold: Hold
    channel: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing goes at all, and why; `why` names what each position met."""

    reason: str
    why: Mapping[str, Any] = field(default_factory=dict)


def compose(  # noqa: PLR0913, PLR0917 - a step at a moment
    journey: CompiledJourney, step: CompiledStep, spec: SendSpec, enrolment: Enrolment, facts: UserFacts, reach: Reach,
    visit: int, at: int, now: int, start: int = 0,
) -> list[NewMessage] | Held | Nothing:  # fmt: skip
    """The messages of a send from position `start` on, or a hold, or nothing with the reason.

    A channel that does not reach the person, has its own cap used up or cannot be rendered falls through to the
    next position. Touches are added to the recipient's reach, so that the next send of the same batch counts them.
    """
    recipient = _recipient(spec, enrolment, facts, reach)
    if recipient is None:
        return Nothing("unreachable", {"to": "missing"})
    ends = [t for t in (_expiry(spec, facts, at), journey.ends_at) if t is not None]
    expires_at = min(ends, default=None)
    person_is_user = recipient.user_id == enrolment.user_id
    stop = first_stop(facts.audience.stops, facts) if person_is_user and spec.purpose == "marketing" else None
    messages: list[NewMessage] = []
    met: list[tuple[str, str, Mapping[str, Any]]] = []
    held: Hold | None = None
    touched = len(recipient.touches)
    for index in range(start, len(spec.positions)):
        position = spec.positions[index]
        sending = Sending(position.channel, position.template, spec.purpose, spec.topic, spec.between, expires_at, stop)
        answer = may_send(reach.rules, recipient, sending, now)
        if isinstance(answer, Hold):
            if not spec.every:
                return Held(answer, position.channel)
            held = held or answer  # of `reach: all`: what can go now goes, this one waits in the ledger
        if isinstance(answer, Drop):
            if answer.final:
                return messages or Nothing(answer.reason, answer.why)
            met.append((position.channel, answer.reason, answer.why))
            continue
        try:
            content = _content(position, facts)
        except CannotRender as error:
            met.append((position.channel, "invalid_content", error.why))
            continue
        not_before = answer.until if isinstance(answer, Hold) else at
        recipient.touches.append(Touch(max(now, not_before), position.channel, spec.purpose, spec.topic))
        suffix = (str(index),) if spec.every else ()
        messages.append(
            NewMessage(
                stable_key("message", enrolment.key, step.origin, str(visit), *suffix), "message", step.id, visit, recipient.user_id,
                position.channel, position.template, spec.purpose, spec.topic, journey.journey.priority, index, not_before, expires_at,
                content, _said(met),
            )
        )  # fmt: skip
        if not spec.every:
            break
    if messages:
        if held is not None and all(message.not_before > at for message in messages):
            del recipient.touches[touched:]
            return Held(held, messages[0].channel)
        return messages
    reason = met[0][1] if met else "unreachable"
    return Nothing(reason, {"positions": list(_said(met))})


def _said(met: list[tuple[str, str, Mapping[str, Any]]]) -> tuple[dict[str, Any], ...]:
    """What each position met."""
    return tuple({"channel": channel, "reason": reason, **dict(why)} for channel, reason, why in met)


def _recipient(spec: SendSpec, enrolment: Enrolment, facts: UserFacts, reach: Reach) -> PersonReach | None:
    if spec.robot is not None:
        name = spec.robot if isinstance(spec.robot, str) else spec.robot.test(facts)
        return robot_reach(name, facts.zone) if name else None
    user_id = spec.to.test(facts) if spec.to is not None else enrolment.user_id
    return reach.of(user_id) if user_id else None


def _expiry(spec: SendSpec, facts: UserFacts, at: int) -> int | None:
    if spec.expires is None:
        return None
    if isinstance(spec.expires, int):
        return at + spec.expires
    value = spec.expires.test(facts)
    return int(value) if value is not None else None


def _content(position: PositionSpec, facts: UserFacts) -> dict[str, Any]:
    content: dict[str, Any] = {"template": position.template} if position.template else {}
    for section, key, template in position.parts:
        text = render(template, facts)
        if section:
            content.setdefault(section, {})[key] = text
        else:
            content[key] = text
    return content
