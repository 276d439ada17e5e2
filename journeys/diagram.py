"""A journey as a Mermaid state diagram, from its machine's table."""

from journeys.compiled import (
    ENDED,
    CompiledJourney,
    CompiledStep,
    DelaySpec,
    ExitSpec,
    GrantSpec,
    SendSpec,
    WaitSpec,
)
from journeys.duration import format_duration

_TRIGGERS = {"done": "", "ok": "", "pass": "otherwise", "otherwise": "otherwise", "timeout": "timeout", "failed": "failed",
             "event_1": "event", "jump": "jump", "exit": ""}  # fmt: skip


def mermaid(journey: CompiledJourney) -> str:
    """Mermaid text of the journey; the same journey gives the same text."""
    names = {identifier: f"s{index}" for index, identifier in enumerate(journey.steps)}
    lines = ["stateDiagram-v2", f"    [*] --> {names[journey.first]}: {_safe(_entry(journey))}"]
    lines += [f"    {names[step.id]}: {_safe(_label(step))}" for step in journey.steps.values()]
    for step in journey.steps.values():
        for trigger, to in step.moves.items():
            if trigger == "skip":
                continue
            label = _safe(_trigger(step, trigger))
            target = "[*]" if to == ENDED else names[to]
            lines.append(f"    {names[step.id]} --> {target}" + (f": {label}" if label else ""))
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _entry(journey: CompiledJourney) -> str:
    entry = journey.journey.entry
    for form in entry.FORMS:
        value = getattr(entry, form)
        if value is not None:
            return f"{form} {', '.join(value) if isinstance(value, list) else value}"
    return ""


def _label(step: CompiledStep) -> str:
    spec = step.spec
    name = step.id if step.named else ""
    if isinstance(spec, SendSpec):
        detail = "send " + " / ".join(p.channel + (f" {p.template}" if p.template else "") for p in spec.positions)
    elif isinstance(spec, DelaySpec):
        detail = f"delay {format_duration(spec.duration)}" if spec.duration is not None else f"until {_until(spec)}"
    elif isinstance(spec, WaitSpec):
        events = [n for case in spec.cases for n in case.names]
        detail = "wait for " + (" / ".join(events) or (spec.when.text if spec.when else ""))
    elif isinstance(spec, GrantSpec):
        detail = f"grant {spec.benefit}"
    elif isinstance(spec, ExitSpec):
        detail = f"exit {spec.reason}"
    else:
        detail = step.kind
    return f"{name} · {detail}" if name else detail


def _until(spec: DelaySpec) -> str:
    moment = spec.until
    if moment is None:
        return ""
    if moment.clock is not None:
        return f"{moment.clock // 60:02d}.{moment.clock % 60:02d}"
    text = moment.rule.text if moment.rule else ""
    return f"{text} {format_duration(moment.offset)}" if moment.offset else text


def _trigger(step: CompiledStep, trigger: str) -> str:
    if trigger.startswith("case_"):
        return step.spec.cases[int(trigger[5:]) - 1].text  # type: ignore[union-attr]
    if trigger.startswith("variant_"):
        return trigger.removeprefix("variant_")
    if trigger.startswith("event_") and isinstance(step.spec, WaitSpec) and step.spec.cases:
        return " / ".join(step.spec.cases[int(trigger[6:]) - 1].names)
    if trigger == "exit" and not isinstance(step.spec, ExitSpec):
        return "missing or past"
    if trigger in ("done", "ok", "jump", "exit") and step.only_if is not None:
        return step.only_if.text
    return _TRIGGERS.get(trigger, trigger)


def _safe(text: str) -> str:
    """Mermaid reads `:` `;` `#` and quotes in labels; they are spelled with characters that it leaves alone."""
    return text.replace(";", "；").replace(":", "：").replace("#", "＃").replace('"', "'").replace("\n", " ")
