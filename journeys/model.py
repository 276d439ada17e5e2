"""The shape of a journey file. Knows keys and types only; names and flow are `check`'s, meaning is `compile`'s."""

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from journeys.codes.code import Words
from journeys.duration import parse_duration, parse_time_of_day, parse_window
from journeys.expectations import CLOCK, DURATION, PACE, PERCENT, WINDOW
from journeys.values import print_number

ID_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"


def _text(value: Any) -> Any:
    """Numbers in a text place are texts: `amount: 10` is "10"."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return print_number(value)


def _fits(fits: Callable[[str], bool], expected: Words) -> BeforeValidator:
    """A text of a form. A number and nothing are told that form, too; what is no single value is not meant to have it."""

    def checked(value: Any) -> Any:
        if isinstance(value, dict | list) or (isinstance(value, str) and fits(value)):
            return value
        raise PydanticCustomError("form", "expected {en}", {"en": expected["en"], "expected": expected})

    return BeforeValidator(checked)


def _forwards(text: str) -> bool:
    span = parse_duration(text)
    return span is not None and span >= 0


def _percent(text: str) -> bool:
    try:
        return text.endswith("%") and 0 <= float(text.removesuffix("%")) <= 100  # noqa: PLR2004 - percent
    except ValueError:
        return False


def _pace(text: str) -> bool:
    count, _, per = text.partition(" per ")
    return re.fullmatch("[1-9][0-9]{0,8}", count) is not None and (parse_duration(per) or 0) > 0


def _shape(pattern: str, expected: Words, *examples: str) -> WithJsonSchema:
    """A text of a form, for editors: what they complete, and say where it does not fit."""
    message = f"应是{expected['zh']} / expected {expected['en']}"
    return WithJsonSchema({"type": "string", "pattern": pattern, "patternErrorMessage": message, "examples": list(examples)})


_MINUTES = "([01][0-9]|2[0-3]):[0-5][0-9]"
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number"]})]
Identifier = Annotated[str, Field(pattern=ID_PATTERN)]
StepId = Annotated[str, Field(pattern=ID_PATTERN)]
Duration = Annotated[str, _fits(_forwards, DURATION), _shape("^([0-9]{1,12}[wdhms])+$", DURATION, "30m", "2h", "3d", "1d12h")]
SignedDuration = Annotated[
    str, _fits(lambda t: parse_duration(t) is not None, DURATION), _shape("^-?([0-9]{1,12}[wdhms])+$", DURATION, "-1d", "2h")
]
Clock = Annotated[str, _fits(lambda t: parse_time_of_day(t) is not None, CLOCK), _shape(f"^{_MINUTES}$", CLOCK, "18:30")]
Window = Annotated[str, _fits(lambda t: parse_window(t) is not None, WINDOW), _shape(f"^{_MINUTES}-{_MINUTES}$", WINDOW, "08:00-21:30")]
Percent = Annotated[str, _fits(_percent, PERCENT), _shape(r"^(100|[0-9]{1,2}(\.[0-9]+)?)%$", PERCENT, "10%")]
Pace = Annotated[str, _fits(_pace, PACE), _shape("^[1-9][0-9]{0,8} per ([0-9]{1,12}[wdhms])+$", PACE, "2000 per 1d")]
Missing = Annotated[str, WithJsonSchema({"anyOf": [{"enum": ["go_on", "exit"]}, {"type": "string", "pattern": f"^{_MINUTES}$"}]})]
Expression = Annotated[str, Field(min_length=1, max_length=2000)]
Condition = Annotated[str, Field(min_length=1, max_length=2000)]
Topic = Annotated[str, Field(min_length=1, max_length=64)]
Purpose = Literal["marketing", "service"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
EventNames = str | Annotated[list[str], Field(min_length=1)]


class Strict(BaseModel):
    """A mapping whose keys are all known."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False, frozen=True)


class Reentry(Strict):
    """How long after the last entry a user may enter again."""

    after: Duration


class Entry(Strict):
    """Who enters, and when: exactly one of event, segment, schedule, at, date, api."""

    event: EventNames | None = None
    segment: str | None = None
    schedule: str | None = None
    at: str | None = None
    date: Expression | None = None
    api: Literal[True] | None = None
    where: Condition | None = None
    user: Expression | None = None
    subject: str | None = None
    existing: Literal["skip", "enrol"] | None = None
    pace: Pace | None = None
    offset: SignedDuration | None = None
    reentry: Literal["once", "always"] | Reentry | None = None
    mode: Literal["single", "restart", "parallel"] = "single"

    FORMS: ClassVar = ("event", "segment", "schedule", "at", "date", "api")


class ExitWhen(Strict):
    """An event or a condition that ends the enrolment from outside."""

    event: EventNames | None = None
    where: Condition | None = None
    of: Expression | None = None
    any_subject: bool = False
    when: Condition | None = None
    reason: Identifier


class Goal(Strict):
    """What the journey is for; reached within a time from entry it counts, held-out users included."""

    event: EventNames
    where: Condition | None = None
    of: Expression | None = None
    any_subject: bool = False
    within: Duration
    then: Literal["exit", "go_on"] = "exit"


class WechatContent(Strict):
    """A mini-program subscribe message by the template's name in config."""

    template: str
    page: Text | None = None
    data: dict[str, Text] = Field(default_factory=dict)


class SmsContent(Strict):
    """A text message by the template's name in config."""

    template: str
    params: dict[str, Text] = Field(default_factory=dict)


class PushContent(Strict):
    """A push notification."""

    title: Text
    body: Text
    page: Text | None = None


class WecomContent(Strict):
    """A WeCom message, to a person or (`to: {robot: …}`) to a group."""

    text: Text


class EmailContent(Strict):
    """An e-mail."""

    subject: Text
    body: Text


class Position(Strict):
    """One place of a send's list: exactly one channel with its content."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    wechat: WechatContent | None = None
    sms: SmsContent | None = None
    push: PushContent | None = None
    wecom: WecomContent | None = None
    email: EmailContent | None = None

    def chosen(self) -> list[tuple[str, Strict]]:
        """The channels written here with their contents (one, when the file is right)."""
        return [(name, content) for name in CHANNELS if (content := getattr(self, name)) is not None]


CHANNELS = ("wechat", "sms", "push", "wecom", "email")


class Robot(Strict):
    """A group robot: a name of [robots] in config, or an expression that gives one."""

    robot: str


class StepBase(Strict):
    """What every step may have."""

    id: StepId | None = None
    was: StepId | None = None
    if_: Condition | None = Field(default=None, alias="if")


class SendStep(StepBase):
    """Send the first of a list of messages that works (`reach: all`: every one)."""

    send: Annotated[list[Position], Field(min_length=1)]
    reach: Literal["all"] | None = None
    to: Expression | Robot | None = None
    between: Window | None = None
    expires: Expression | None = None
    purpose: Purpose | None = None
    topic: Topic | None = None
    fall_through: Literal["undelivered"] | None = None


class Until(Strict):
    """A moment: a time of day, or an expression for a time or a time of day."""

    until: Expression
    offset: SignedDuration | None = None
    at: Clock | None = None
    days: Annotated[list[Weekday], Field(min_length=1)] | None = None
    if_missing: Missing | None = None
    if_past: Literal["go_on", "exit"] | None = None


class DelayStep(StepBase):
    """Wait for a time."""

    delay: Duration | Until


class TimeoutAt(Strict):
    """The end of a wait as a moment."""

    until: Expression
    offset: SignedDuration | None = None


class EventCase(Strict):
    """One of several awaited events, with the steps that follow it."""

    event: EventNames
    where: Condition | None = None
    of: Expression | None = None
    any_subject: bool = False
    steps: "Steps" = Field(default_factory=list)


class Wait(Strict):
    """What is waited for: an event, a condition, or the first of several events."""

    event: EventNames | None = None
    when: Condition | None = None
    any_of: Annotated[list[EventCase], Field(min_length=1)] | None = None
    where: Condition | None = None
    of: Expression | None = None
    any_subject: bool = False
    timeout: Duration | TimeoutAt


class WaitStep(StepBase):
    """Wait for something to happen, for so long."""

    wait_for: Wait
    on_event: "Steps | None" = None
    on_timeout: "Steps | None" = None


class Case(Strict):
    """One case of a branch."""

    when: Condition
    steps: "Steps"


class BranchStep(StepBase):
    """The first case that holds."""

    branch: Annotated[list[Case], Field(min_length=1)]
    otherwise: "Steps | None" = None


class Variant(Strict):
    """One variant of a split."""

    name: Identifier
    weight: Annotated[int, Field(ge=0, le=1_000_000)]
    steps: "Steps" = Field(default_factory=list)


class SplitStep(StepBase):
    """A draw by hash: sticky per user, or anew for each enrolment."""

    split: Annotated[list[Variant], Field(min_length=2)]
    per: Literal["enrolment"] | None = None


class Grant(Strict):
    """A benefit for the recipient."""

    benefit: str
    amount: Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0)] | None = None
    expires: Duration | None = None
    to: Expression | None = None
    once_per: Expression | None = None
    timeout: Duration | None = None


class GrantStep(StepBase):
    """Give a benefit and wait until it is settled."""

    grant: Grant
    on_failed: "Steps | None" = None


class Update(Strict):
    """Changes of the user's profile and tags."""

    set: dict[str, Text | bool] = Field(default_factory=dict)
    add_tags: list[Text] = Field(default_factory=list)
    remove_tags: list[Text] = Field(default_factory=list)
    increment: dict[str, int | float] = Field(default_factory=dict)


class UpdateStep(StepBase):
    """Change the user's own profile values and tags."""

    update: Update


class EndpointCall(Strict):
    """A request to a named endpoint of the operator."""

    endpoint: str
    body: dict[str, Text | bool] = Field(default_factory=dict)
    timeout: Duration = "10s"
    default: dict[str, Any] | None = None


class CallStep(StepBase):
    """Ask the operator's own system and wait for its answer."""

    call: EndpointCall
    on_failed: "Steps | None" = None


class Goto(Strict):
    """A jump; back only with a number of visits."""

    step: str
    max_visits: Annotated[int, Field(ge=1, le=1000)] | None = None


class GotoStep(StepBase):
    """Go on at another step."""

    goto: Goto


class ExitStep(StepBase):
    """End with a reason."""

    exit: Identifier


KINDS: dict[str, type[StepBase]] = {
    "send": SendStep, "delay": DelayStep, "wait_for": WaitStep, "branch": BranchStep, "split": SplitStep,
    "grant": GrantStep, "update": UpdateStep, "call": CallStep, "goto": GotoStep, "exit": ExitStep,
}  # fmt: skip
TAG_PREFIX = "step:"


def _kind(value: Any) -> str | None:
    if not isinstance(value, dict | StepBase):
        return None
    keys = value if isinstance(value, dict) else {k for k in KINDS if getattr(value, k, None) is not None}
    found = [kind for kind in KINDS if kind in keys]
    return TAG_PREFIX + found[0] if len(found) == 1 else None


Step = Annotated[
    Annotated[SendStep, Tag("step:send")]
    | Annotated[DelayStep, Tag("step:delay")]
    | Annotated[WaitStep, Tag("step:wait_for")]
    | Annotated[BranchStep, Tag("step:branch")]
    | Annotated[SplitStep, Tag("step:split")]
    | Annotated[GrantStep, Tag("step:grant")]
    | Annotated[UpdateStep, Tag("step:update")]
    | Annotated[CallStep, Tag("step:call")]
    | Annotated[GotoStep, Tag("step:goto")]
    | Annotated[ExitStep, Tag("step:exit")],
    Discriminator(_kind, custom_error_type="step_kind", custom_error_message="one kind of step"),
]
Steps = list[Step]


class StoryEvent(BaseModel):
    """An event of a test; further keys are the event's fields."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    after: Duration | None = None
    at: str | None = None
    event: str
    user: Text | None = None


class Given(Strict):
    """What the world answers in a test; unless given, everything works."""

    credits: dict[str, int] = Field(default_factory=dict)
    consents: dict[str, bool | dict[str, bool]] = Field(default_factory=dict)
    benefits: dict[str, Literal["ok", "sold_out", "fails"]] = Field(default_factory=dict)
    calls: dict[str, dict[str, Any] | Literal["fails"]] = Field(default_factory=dict)
    variant: dict[str, str] = Field(default_factory=dict)
    holdout: bool = False
    tags: list[Text] = Field(default_factory=list)
    receipts: dict[str, Literal["delivered", "undelivered"]] = Field(default_factory=dict)


class Expectation(Strict):
    """One thing that a test expects: a send, a grant, a tag, a suppression or the end."""

    after: Duration | None = None
    at: str | None = None
    send: str | None = None
    grant: str | None = None
    tag: str | None = None
    suppressed: str | None = None
    end: str | None = None
    step: str | None = None
    contains: Text | None = None


class JourneyTest(Strict):
    """A story with the timeline that it must give."""

    name: Text
    at: str | None = None
    user: dict[str, Any] = Field(default_factory=dict)
    entry: dict[str, Any] = Field(default_factory=dict)
    given: Given = Field(default_factory=Given)
    events: list[StoryEvent] = Field(default_factory=list)
    expect: list[Expectation]


class Journey(Strict):
    """One journey file."""

    id: Identifier
    name: Text
    description: Text = ""
    owner: Text
    status: Literal["draft", "live", "closed"]
    purpose: Purpose
    topic: Topic | None = None
    priority: Annotated[int, Field(ge=0, le=100)] = 50
    entry: Entry
    holdout: Percent | None = None
    exit_when: list[ExitWhen] = Field(default_factory=list)
    goal: Goal | None = None
    ends_at: str | None = None
    max_lateness: Duration | None = None
    on_late: Literal["skip", "exit"] | None = None
    steps: Annotated[Steps, Field(min_length=1)]
    tests: list[JourneyTest] = Field(default_factory=list)


for _model in (EventCase, WaitStep, Case, BranchStep, Variant, SplitStep, GrantStep, CallStep, Journey):
    _model.model_rebuild()


def kind_name(step: StepBase) -> str:
    """The kind of a step as it is spelled in the file: `send`, `wait_for`, …."""
    return next(kind for kind, model in KINDS.items() if isinstance(step, model))


def event_names(names: str | list[str] | None) -> tuple[str, ...]:
    """One name or several, as a tuple."""
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)
