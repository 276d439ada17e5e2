"""How values, reasons and log entries are said in one language, on one clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from journeys.duration import MINUTE, format_duration
from journeys.errors import Language
from journeys.localtime import print_instant
from journeys.phrasing import step_name
from journeys.values import LARGEST_NUMBER, fits, print_number
from runtime.shortened import LONGEST, shortened
from runtime.state import SYSTEM_ENDS
from runtime.storyline import Line
from runtime.storytexts import ACTIONS, CHANNELS, FACTS, KINDS, STATES, STORY, reason_sentence, said, stage_name
from runtime.texts import word
from runtime.whynottexts import WHY_NOT

if TYPE_CHECKING:  # `check` says log entries too, and starts without the engine
    from journeys.clauses import Need
    from runtime.whatnext import Follows

MOST_ITEMS = 12  # of a list
_SAID = {**STORY, **WHY_NOT}
_ORDERED = ("<", "<=", ">", ">=")
# what is not done by the system: it comes to know of it
LEARNED = frozenset({"matched", "timed_out", "event_ignored", "goal_reached", "granted", "grant_failed", "call_ok", "call_failed",
                     "settled_late", "consent_given", "consent_withdrawn", "merged", "address_dropped", "address_moved",
                     "segment_entered", "segment_left", "stage_changed"})  # fmt: skip


@dataclass(frozen=True)
class Wording:
    """Says things to people. `kinds` are the types of user.*, `segments` and `stages` their names for people."""

    language: Language
    zone: ZoneInfo
    kinds: Mapping[str, str] = field(default_factory=dict)
    segments: Mapping[str, str] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, key: str, /, **values: Any) -> str:
        """A text of `explain`, or a word of the terminal."""
        return said(_SAID, key, self.language, **values) if key in _SAID else word(key, self.language, **values)

    def at(self, instant: int | None) -> str:
        """An instant on the user's clock."""
        return print_instant(instant, self.zone) if instant is not None else self("not_kept")

    def reason(self, code: str) -> str:
        """A reason as a sentence."""
        return reason_sentence(code, self.language)

    def end(self, code: str) -> str:
        """Why an enrolment ended: the system's own reasons as sentences, the file's as it says them."""
        return self.reason(code) if code in SYSTEM_ENDS else code

    def channel(self, name: str) -> str:
        """A channel or purpose for people."""
        return said(CHANNELS, name, self.language)

    def state(self, name: str) -> str:
        """The state of a message or attempt."""
        return said(STATES, name, self.language)

    def kind(self, name: str) -> str:
        """The kind of a step."""
        return said(KINDS, name, self.language)

    def segment(self, name: str) -> str:
        """A segment with its name for people."""
        known = self.segments.get(name)
        return name if not known or known == name else f"「{known}」{name}" if self.language == "zh" else f"{name} ({known})"

    def stage(self, name: str) -> str:
        """A lifecycle stage with its name for people."""
        return stage_name(name, self.stages, self.language)

    def joined(self, parts: list[str]) -> str:
        """A list in one line."""
        return ("；" if self.language == "zh" else "; ").join(part for part in parts if part)

    def listed(self, parts: list[str]) -> str:
        """Names in one line."""
        return ("、" if self.language == "zh" else ", ").join(parts)

    def short(self, text: str, most: int = LONGEST) -> str:
        """A name or text that came from outside."""
        return shortened(text, self.language, most)

    def value(self, name: str, value: Any) -> str:
        """A value of a rule: instants and times of day as such, what is missing as missing."""
        if value is None:
            return self("missing")
        if isinstance(value, bool):
            return self("yes" if value else "no")
        if isinstance(value, list):
            shown = self.listed([self.short(str(item)) for item in value[:MOST_ITEMS]])
            return (shown + " …" if len(value) > MOST_ITEMS else shown) or self("none")
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER and fits(value, "time"):  # larger than any number of a rule
            return self.at(value)
        if isinstance(value, int | float):
            if self.kinds.get(name.removeprefix("user.")) == "time_of_day":
                return f"{int(value) // 60:02d}:{int(value) % 60:02d}"
            return print_number(round(value, 2) if isinstance(value, float) else value)
        return self.short(str(value))

    def values(self, values: Mapping[str, Any]) -> str:
        """Names with their values."""
        return self.listed([f"{self.short(name)} = {self.value(name, value)}" for name, value in values.items()])

    def needed(self, need: "Need") -> str:
        """What a clause needs."""
        if need.operator in ("known", "missing", "true", "false"):
            return self(f"w{need.operator}")
        is_instant = isinstance(need.wanted, int) and abs(need.wanted) > LARGEST_NUMBER
        prefix = "t" if is_instant and need.operator in _ORDERED else "w"
        return self(f"{prefix}{need.operator}", wanted=self.value(need.name, need.wanted))

    # --- log entries

    def sentence(self, line: Line) -> str:
        """What happened."""
        why = line.why
        values = {key: self._shown(key, value) for key, value in why.items()}
        if line.action == "entered":
            fact_type = str(why.get("fact_id", "")).partition(":")[0]
            values["fact"] = said(
                FACTS, str(why.get("fact", "")), self.language, type=fact_type, segment=self.segment(str(why.get("segment", "")))
            )
        if line.action == "branched" and why.get("case") == "otherwise":
            values["case"] = self("otherwise")
        if line.action in ("consent_given", "consent_withdrawn"):
            values["what"] = self.answered(line)
        if line.action == "event":
            values["data"] = self.fields(why["data"])
        action = "entered_held" if line.action == "entered" and why.get("held_out") else line.action
        if action in ("ended", "exit_when") and "reason" in why:
            values["reason"] = self.end(str(why["reason"]))
        if action == "waits" and why.get("for"):
            action, values["for"] = "waits_for", self.listed(why["for"]) if isinstance(why["for"], list) else str(why["for"])
        if action == "matched" and "event" in why:
            action = "matched_event"
        if action == "passed_over":
            action = next((f"passed_over_{key}" for key in ("had", "max_visits") if key in why), action)
        if action == "moved" and all(isinstance(why.get(key), int) for key in ("until", "was_until")):
            action = "moved_over" if why["until"] < line.at else "moved_until"
        return said(ACTIONS, action, self.language, **values).strip()

    def done(self, line: Line) -> str:
        """When something was done or came to be known that stands at an earlier time."""
        return self("known_later" if line.action in LEARNED else "done_later", at=self.at(line.done_at))

    def answered(self, line: Line) -> str:
        """What a consent was given to or withdrawn from, and where; and when it was said, where that is not when it was received."""
        what = self("consent_to", channel=self.channel(line.why["channel"]), purpose=self.channel(line.why["purpose"]))
        what = f"{what} ({self.short(line.why['source'])})" if line.why.get("source") else what
        said_at = line.why.get("said_at", line.at)
        if abs(line.at - said_at) < MINUTE:
            return what
        return self("said_on", what=what, at=self.at(said_at)) if said_at else self("said_once", what=what)

    def fields(self, data: Mapping[str, Any]) -> str:
        """The fields of an event."""
        if not isinstance(data, dict):
            return ""
        return self.listed([f"{self.short(name)}={self.value(name, value)}" for name, value in data.items()])

    def _shown(self, key: str, value: Any) -> str:
        if key in ("until", "was_until", "due_at", "event_time") and isinstance(value, int):
            return self.at(value)
        if key == "late_by" and isinstance(value, int):
            return format_duration(value // MINUTE * MINUTE)
        if key == "reason":
            return self.reason(str(value))
        if key == "segment":
            return self.segment(str(value))
        if key in ("from", "to") and str(value) in self.stages:
            return self.stage(str(value))
        if key in ("channel", "purpose"):
            return self.channel(str(value))
        return self.short(str(value))

    def grounds(self, line: Line) -> str:
        """Why: the clause and the values then, or what each position of a send met."""
        why = line.why
        parts = [self("subject_is", subject=why["subject"])] if "subject" in why else []
        parts += [str(why[key]) for key in ("clause", "where") if key in why]
        if line.rule and not parts:
            parts.append(self("by_rule", clause=line.rule))
        given = {name: value for key in ("values", "where_values") for name, value in (why.get(key) or {}).items()}
        if given:
            parts.append(self("values_then", values=self.values(given)) if parts else self.values(given))
        positions = [self("in_position", channel=self.channel(p["channel"]), reason=self._met(p)) for p in why.get("positions", ())]
        told = why.get("positions", ())
        if positions and not (len(told) == 1 and told[0]["reason"] == why.get("reason") and not {"cap", "problem"} & set(told[0])):
            parts.append(self("passed_positions", positions=self.joined(positions)) if line.action == "sent" else self.joined(positions))
        if "cap" in why:
            parts.append(self("cap_then", cap=why["cap"], touches=why.get("touches", "?")))
        if "stop" in why:
            parts.append(self("stop_then", stop=why["stop"]))
        if "held_for" in why:
            parts.append(self("held_for", reason=self.reason(why["held_for"])))
        if "pace" in why:
            parts.append(self("pace_then", pace=why["pace"]))
        parts += [
            self(key, at=self.at(why[key])) for key in ("inside_since", "last_entry", "window_from", "again_from", "ends_at") if key in why
        ]
        if "problem" in why:
            parts.append(self.problem(why))
        if line.action == "updated":
            parts += self._updated(why)
        if why.get("times", 1) > 1:
            parts.append(self("times_refused", times=why["times"]))
        if why.get("history"):
            parts.append(self("came_as_history"))
        return self.joined(parts)

    def _met(self, position: Mapping[str, Any]) -> str:
        """Why one position was no way to her."""
        more = self("cap_then", cap=position["cap"], touches=position.get("touches", "?")) if "cap" in position else self.problem(position)
        return self.joined([self.reason(position["reason"]), more])

    def problem(self, why: Mapping[str, Any]) -> str:
        """Why a text could not be made for somebody; nothing where it was not that."""
        key = f"problem_{why.get('problem', '')}"
        return self(key, expression=why.get("expression", "")) if key in _SAID else str(why.get("problem", ""))

    def _updated(self, why: Mapping[str, Any]) -> list[str]:
        tags = [*(f"+{tag}" for tag in why.get("add_tags", ())), *(f"-{tag}" for tag in why.get("remove_tags", ()))]
        done = [self("update_set", what=self.values(why["set"]))] if why.get("set") else []
        return [*done, self("update_tags", tags=" ".join(tags))] if tags else done

    def follows(self, follows: "Follows") -> str:
        """The step that comes next."""
        if not follows.step:
            return self("then_end")
        kind = self.kind(follows.kind)
        if follows.channels:
            kind = f"{kind} {self.listed([self.channel(c) for c in dict.fromkeys(follows.channels)])}"
        name = step_name(follows.step)
        shown = self("then_step", step=name, kind=kind) if name == follows.step else name
        return self("then_maybe", step=shown) if follows.maybe else shown
