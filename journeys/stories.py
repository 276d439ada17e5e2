"""What is wrong in a journey's `tests:` before they are run: names that do not exist, expectations that no step can meet. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from journeys.audience import Audience
from journeys.codes.code import Words
from journeys.compiled import ENDED, CompiledJourney, CompiledStep, DelaySpec, ExitSpec, GrantSpec, SendSpec, SplitSpec, UpdateSpec
from journeys.duration import parse_duration
from journeys.errors import did_you_mean, fields_near, near, near_named, unknown_template
from journeys.expectations import BOTH, MOMENT, NONE, PAST, VALUES, found_of, one_of
from journeys.localtime import print_instant
from journeys.model import CHANNELS, Expectation, JourneyTest
from journeys.source import Path_, Source
from journeys.values import ENVELOPE, ValueType, coerce, parse_time
from journeys.world import World

DEFAULT_START = "2026-12-01 10:00"
AGO = " ago"
KINDS = ("send", "grant", "tag", "suppressed", "end")
NOT_SENT = ("no_consent", "unreachable", "no_credit", "cap", "suppressed", "expired", "late", "cancelled", "invalid_content", "budget")
ANYTHING = "*"  # a tag with a value in it
PURPOSES = ("service", "marketing")


def kind_of(expected: Expectation) -> Any:
    """What an expectation is about: send, grant, tag, suppressed or end; of several, the first (`check` refuses them)."""
    return next((kind for kind in KINDS if getattr(expected, kind) is not None), "end")


def value_of(raw: Any, kind: ValueType, zone: ZoneInfo, start: int, choices: tuple[str, ...] = ()) -> Any:
    """A given value of a trait in its type, `61d ago` counted from the start of the test; None when it does not fit."""
    if kind == "time" and isinstance(raw, str) and raw.endswith(AGO):
        ago = parse_duration(raw.removesuffix(AGO))
        return start - ago if ago is not None else None
    return coerce(raw, kind, zone, choices)


def check_stories(source: Source, journey: CompiledJourney, audience: Audience, world: World) -> None:
    """Report everything that is wrong in the tests of a journey which compiled."""
    for index, test in enumerate(journey.journey.tests):
        _Story(source, journey, audience, world, test, ("tests", index)).check()


class _Story:
    def __init__(
        self, source: Source, journey: CompiledJourney, audience: Audience, world: World, test: JourneyTest, path: Path_
    ) -> None:  # fmt: skip
        self.source, self.journey, self.audience, self.world, self.test, self.path = source, journey, audience, world, test, path
        self.zone = journey.zone
        start = self._instant(test.at, "at")
        default = parse_time(DEFAULT_START, self.zone)
        self.start: int = start if start is not None else default or 0

    def check(self) -> None:
        self._user()
        self._entry()
        self._given()
        self._events()
        self._expectations()

    def _report(self, code: str, *where: str | int, key: bool = False, **params: Any) -> None:
        self.source.report(code, (*self.path, *where), key=key, **params)

    def _known(self, code: str, found: str, names: Collection[str], *where: str | int, key: bool = True, **params: Any) -> bool:
        if found in names:
            return True
        self._report(code, *where, key=key, found=found, **{**near(found, names), **params})
        return False

    def _instant(self, text: str | None, *where: str | int) -> int | None:
        found = parse_time(text, self.zone)
        if text is not None and found is None:
            self._report("J013", *where, expected=MOMENT, found=found_of(text))
        return found

    def _unfit(self, expected: Words, raw: Any, *where: str | int) -> None:
        self._report("J013", *where, expected=expected, found=found_of(raw))

    # --- who, and what is given

    def _user(self) -> None:
        for name, raw in self.test.user.items():
            trait = self.audience.traits.get(name)
            if trait is None:
                self._known("J022", name, [*self.audience.traits, "id"], "user", name)
            elif raw is not None and value_of(raw, trait.kind, self.zone, self.start, trait.choices) is None:
                choices = one_of(trait.choices) if trait.choices else VALUES[trait.kind]
                self._unfit(PAST if trait.kind == "time" else choices, raw, "user", name)

    def _entry(self) -> None:
        events = self.journey.entry.events
        if not events:
            return
        asked = self.test.entry.get("type")
        if asked is not None:
            self._known("J020", str(asked), events, "entry", "type", key=False)
        event = str(asked) if asked in events else events[0]
        self._fields(event, self.test.entry, "entry")

    def _fields(self, event: str, data: Mapping[str, Any], *where: str | int) -> None:
        fields = self.audience.event_fields((event,))
        for name, raw in data.items():
            if name in ENVELOPE:
                continue
            if self._known("J023", name, fields, *where, name, event=event, known=fields_near(name, fields)) and raw is not None:
                kind = fields[name]
                ids = self.audience.named((event,)).get(name)
                if coerce(raw, kind, self.zone) is None:
                    self._unfit(VALUES[kind], raw, *where, name)
                elif ids is not None and raw not in ids:
                    self._report("J036", *where, name, name=f"{event}.{name}", found=raw, **near_named(raw, ids))

    def _given(self) -> None:
        given, world, steps = self.test.given, self.world, self.journey.steps
        for name in given.credits:
            if "wechat" in world.channels and name not in world.channels["wechat"]:
                self._report("J025", "given", "credits", name, key=True, **unknown_template(name, "wechat", world.channels))
        for name, said in given.consents.items():
            self._known("J024", name, CHANNELS, "given", "consents", name)
            for purpose in said if isinstance(said, dict) else ():
                self._known("J012", purpose, PURPOSES, "given", "consents", name, purpose)
        for name in given.benefits:
            self._known("J028", name, world.benefits, "given", "benefits", name)
        for name, answer in given.calls.items():
            if self._known("J029", name, world.endpoints, "given", "calls", name) and isinstance(answer, dict):
                for field in answer:
                    self._known(
                        "J023",
                        field,
                        world.endpoints[name],
                        "given",
                        "calls",
                        name,
                        field,
                        event=name,
                        known=fields_near(field, world.endpoints[name]),
                    )
        for step, variant in given.variant.items():
            spec = steps[step].spec if step in steps else None
            if self._is_a("split", step, "given", "variant", step) and isinstance(spec, SplitSpec):
                self._known("J034", variant, [name for name, _ in spec.variants], "given", "variant", step, key=False, step=step)
        for step in given.receipts:
            self._is_a("send", step, "given", "receipts", step)

    def _is_a(self, kind: str, found: str, *where: str | int) -> bool:
        """Whether a step is there and of this kind."""
        steps = self.journey.steps
        if not self._known("J031", found, [step.id for step in steps.values() if step.named], *where):
            return False
        possible = [step.id for step in steps.values() if step.kind == kind]
        if found not in possible:
            self._report("J113", *where, key=True, kind=kind, found=found, expected=", ".join(possible) or "-")
        return found in possible

    def _events(self) -> None:
        for number, story in enumerate(self.test.events):
            where = ("events", number)
            at = self._moment(story.after, story.at, *where)
            if at is not None and at < self.start:
                self._too_early(at, self.start, *where)
            if self._known("J020", story.event, self.audience.events, *where, "event", key=False):
                self._fields(story.event, story.model_extra or {}, *where)

    def _moment(self, after: str | None, at: str | None, *where: str | int) -> int | None:
        if (after is None) == (at is None):
            self._report("J015", *where, expected="after, at", found=NONE if at is None else BOTH)
            return None
        if after is not None:
            return self.start + (parse_duration(after) or 0)
        return self._instant(at, *where, "at")

    def _too_early(self, at: int, earliest: int, *where: str | int) -> None:
        self._report("J114", *where, found=print_instant(at, self.zone), earliest=print_instant(earliest, self.zone))

    # --- what is expected

    def _expectations(self) -> None:
        earliest = self.start
        for number, expected in enumerate(self.test.expect):
            where = ("expect", number)
            at = self._moment(expected.after, expected.at, *where)
            if at is not None and at < earliest:
                self._too_early(at, earliest, *where)
            earliest = max(at or 0, earliest)
            kinds = [kind for kind in KINDS if getattr(expected, kind) is not None]
            if len(kinds) != 1:
                self._report("J015", *where, expected=", ".join(KINDS), found=", ".join(kinds) or NONE)
                continue
            if expected.contains is not None and expected.send is None:
                self._report("J085", *where, "contains", key=True, found="contains", needs="send")
            named = [step.id for step in self.journey.steps.values() if step.named]
            if expected.step is None or self._known("J031", expected.step, named, *where, "step", key=False):
                self._can_be(kinds[0], str(getattr(expected, kinds[0])), expected.step, *where)

    def _can_be(self, kind: str, found: str, step: str | None, *where: str | int) -> None:
        possible = sorted(set(self._possible(kind, step)))
        if ANYTHING not in possible and found not in possible:
            hint, expected = did_you_mean(found, possible), ", ".join(possible) or "-"
            self._report("J113", *where, kind, kind=kind, found=found, expected=expected, hint=hint)

    def _possible(self, kind: str, only: str | None) -> Iterable[str]:
        steps = [step for step in self.journey.steps.values() if only in (None, step.id)]
        for step in steps:
            spec = step.spec
            if kind == "send" and isinstance(spec, SendSpec):
                yield from (position.channel for position in spec.positions)
            elif kind == "grant" and isinstance(spec, GrantSpec):
                yield spec.benefit
            elif kind == "tag" and isinstance(spec, UpdateSpec):
                yield from (tag.constant or ANYTHING for tag in spec.add_tags)
        if kind == "suppressed":
            yield from NOT_SENT
            yield from (name for name, _ in self.audience.stops)
        if kind == "end":
            yield from ends_of(self.journey, held_out=self.test.given.holdout)


def ends_of(journey: CompiledJourney, *, held_out: bool) -> Iterable[str]:
    """Every reason with which the journey can end for one user."""
    yield from (rule.reason for rule in journey.exits)
    if journey.goal is not None and journey.goal.exits:
        yield "converted"
    if journey.ends_at is not None:
        yield "ended"
    if journey.late_exits:
        yield "late"
    if journey.entry.mode == "restart":
        yield "restarted"
    if held_out:
        yield "held_out"
    for step in journey.steps.values():
        yield from _ends_at(step)


def _ends_at(step: CompiledStep) -> Iterable[str]:
    spec, moves = step.spec, step.moves
    if isinstance(spec, ExitSpec):
        yield spec.reason
    if any(to == ENDED and trigger not in ("failed", "exit") for trigger, to in moves.items()):
        yield "completed"
    if moves.get("failed") == ENDED:
        yield f"{step.id}_failed"
    if isinstance(spec, DelaySpec) and spec.until is not None:
        yield from (f"{step.id}_{moment}" for moment in ("missing", "past") if getattr(spec.until, f"if_{moment}") == "exit")
