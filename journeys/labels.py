"""What a picture of a journey says about its entry, steps, moves and ends, in Chinese and in English."""

import re
from typing import NamedTuple

from journeys import compiled
from journeys.compiled import CompiledJourney, CompiledStep, EventMatch, Moment, PositionSpec
from journeys.duration import format_duration
from journeys.errors import Language
from journeys.localtime import print_instant
from journeys.phrasing import phrase
from journeys.rule import Rule
from journeys.template import Template
from journeys.textwidth import em, plain

LONGEST_BEGINNING = 19  # em of the text of a message that are shown: enough to know it by
_FILLED_IN = re.compile(r"\{\{\s*(.*?)\s*(?:\|.*?)?\}\}")

WORDS: dict[str, tuple[str, str]] = {
    "entry": ("entry", "进入"), "send": ("send", "发送"), "delay": ("delay", "等待"), "wait_for": ("wait for", "等事件"),
    "branch": ("branch", "分支"), "split": ("split", "分组"), "grant": ("grant", "发权益"), "update": ("update", "更新"),
    "call": ("call", "调用"), "goto": ("go to", "跳到"), "exit": ("exit", "退出"), "end": ("end", "结束"),
    "event": ("event {what}", "事件 {what}"), "segment": ("segment {what}", "分群 {what}"), "schedule": ("schedule {what}", "定时 {what}"),
    "at": ("at {what}", "{what}"), "date": ("date {what}", "日期 {what}"), "api": ("by call", "由接口进入"),
    "if": ("if {what}", "如果 {what}"), "where": ("where {what}", "条件 {what}"), "for": ("for {what}", "进入的人 {what}"),
    "per": ("one for each {what}", "每个 {what} 一次"), "existing": ("those already inside too", "已在分群里的也进入"),
    "pace": ("at most {what}", "速度 {what}"), "once": ("once for each user", "每人一次"),
    "once_for": ("once for each user and {what}", "每人每个 {what} 一次"), "paused": ("PAUSED since {what}", "已暂停，自 {what}"),
    "always": ("again at any time", "可以再进"),
    "after": ("again after {what}", "{what} 后可再进"), "holdout": ("hold-out {what}", "对照组 {what}"),
    "restart": ("a new entry restarts", "再进时重新开始"), "parallel": ("entries run in parallel", "可同时走几次"),
    "goal": ("goal: {what} within {within}", "目标：{within} 内 {what}"), "ends": ("{what} → ends ({reason})", "{what} → 结束（{reason}）"),
    "goes_on": ("{what}, goes on", "{what}，继续走"), "ends_at": ("ends at {what}", "{what} 整体结束"),
    "exit_when": ("at any time: {what} → {reason}", "随时：{what} → {reason}"), "of": ("of {what}", "属于 {what}"),
    "to": ("to {what}", "发给 {what}"), "robot": ("to the group robot {what}", "发到群机器人 {what}"), "all": ("all of these", "以下全发"),
    "between": ("between {what}", "只在 {what}"), "expires": ("expires {what}", "{what} 后不再发"),
    "purpose": ("as {what}", "按 {what} 发"), "topic": ("topic {what}", "主题 {what}"),
    "undelivered": ("the next one where undelivered", "未送达就换下一个"),
    "until": ("until {what}", "到 {what}"), "before_moment": ("{by} before {what}", "{what} 前 {by}"),
    "after_moment": ("{by} after {what}", "{what} 后 {by}"), "clock": ("at {what}", "{what}"), "days": ("on {what}", "限 {what}"),
    "else": ("{what} where missing", "缺失时 {what}"), "holds": ("until it holds: {what}", "直到 {what}"),
    "at_most": ("at most {what}", "最多等 {what}"), "at_most_until": ("at most until {what}", "最多等到 {what}"),
    "valid": ("valid for {what}", "有效 {what}"), "once_per": ("once for each {what}", "每个 {what} 一次"),
    "anew": ("drawn anew for each enrolment", "每次进入重新抽"), "visits": ("at most {what} times", "最多 {what} 次"),
    "answer": ("answer within {what}", "{what} 内回应"), "default": ("else {what}", "否则 {what}"),
    "otherwise": ("otherwise", "否则"), "timeout": ("timeout", "超时"), "failed": ("failed", "失败"), "missing": ("missing", "缺失"),
    "past": ("past", "已过"), "then": ("afterwards", "之后"), "onward": ("goes on below", "继续往下"), "met": ("it holds", "成立"),
    "case": ("branch {what}", "分支 {what}"), "variant": ("variant {what}", "分组 {what}"), "awaited": ("event {what}", "事件 {what}"),
    "status": ("status {what}", "状态 {what}"),
    "reads_inside": ("numbers: how many are inside now", "数字：现在有多少人在这里"),
    "reads_passed": ("numbers: how many passed", "数字：有多少人走过"), "held_out": ("held out: {n}", "对照组：{n}"),
    "gone": ("on steps that are not here any more: {what}", "停在这里已没有的步骤上：{what}"),
}  # fmt: skip


class Line(NamedTuple):
    """One line of a box, before it is wrapped; a quiet one says what stands in the message itself."""

    text: str
    quiet: bool = False


def say(key: str, language: Language, **values: object) -> str:
    """A word or a short sentence of a picture."""
    return phrase(WORDS[key][0 if language == "en" else 1], values)


def entry_lines(journey: CompiledJourney, language: Language) -> list[str]:
    """Who enters, when, how fast, how often, and how many are held out."""
    entry, spec = journey.journey.entry, journey.entry
    value = getattr(entry, spec.form)
    what = ", ".join(value) if isinstance(value, list) else str(value)
    if spec.form == "date":
        what = " ".join(filter(None, [what, entry.offset, entry.at]))
    lines = [say(spec.form, language, what=what)]
    lines += [say(key, language, what=text) for key, text in (("where", entry.where), ("for", entry.user), ("per", entry.subject)) if text]
    if spec.existing == "enrol":
        lines.append(say("existing", language))
    if entry.pace:
        lines.append(say("pace", language, what=entry.pace))
    if isinstance(spec.reentry, int):
        lines.append(say("after", language, what=format_duration(spec.reentry)))
    else:
        per_subject = spec.reentry == "once" and spec.subject
        lines.append(say("once_for", language, what=spec.subject) if per_subject else say(spec.reentry, language))
    if spec.mode != "single":
        lines.append(say(spec.mode, language))
    if journey.holdout:
        lines.append(say("holdout", language, what=journey.journey.holdout))
    return lines


def outer_lines(journey: CompiledJourney, language: Language) -> list[str]:
    """What can end or count an enrolment from anywhere: the goal, exit_when, ends_at."""
    lines: list[str] = []
    if journey.goal is not None:
        what = say("goal", language, what=_match(journey.goal.match, language), within=format_duration(journey.goal.within))
        goal = say("ends", language, what=what, reason="converted") if journey.goal.exits else say("goes_on", language, what=what)
        lines.append(goal)
    for rule in journey.exits:
        what = _match(rule.match, language) if rule.match is not None else (rule.when.text if rule.when else "")
        lines.append(say("exit_when", language, what=what, reason=rule.reason))
    if journey.ends_at is not None:
        lines.append(say("ends_at", language, what=print_instant(journey.ends_at, journey.zone)))
    return lines


def step_lines(journey: CompiledJourney, step: CompiledStep, language: Language) -> list[Line]:
    """What a step does, line by line; its condition first."""
    lines = [Line(say("if", language, what=step.only_if.text))] if step.only_if is not None else []
    spec = step.spec
    match spec:
        case compiled.SendSpec():
            lines += _send(journey, spec, language)
        case compiled.DelaySpec():
            moment = spec.until
            lines += _texts([format_duration(spec.duration or 0)] if moment is None else _until(moment, language))
        case compiled.WaitSpec():
            lines += _texts(_wait(spec, language))
        case compiled.SplitSpec() if spec.per_enrolment:
            lines.append(Line(say("anew", language)))
        case compiled.GrantSpec():
            lines += _texts(_grant(spec, language))
        case compiled.UpdateSpec():
            lines += _texts(_update(spec))
        case compiled.CallSpec():
            lines += _texts(_call(spec, language))
        case compiled.GotoSpec():
            lines.append(Line(f"→ {spec.target}"))
            if spec.max_visits is not None:
                lines.append(Line(say("visits", language, what=spec.max_visits)))
        case compiled.ExitSpec() if step.named:
            lines.append(Line(f"→ {spec.reason}"))
    return [Line(plain(line.text), line.quiet) for line in lines]


def move_label(step: CompiledStep, trigger: str, language: Language) -> str:
    """What is written at a move; nothing where the journey simply goes on."""
    spec = step.spec
    if trigger.startswith("case_") and isinstance(spec, compiled.BranchSpec):
        text = plain(spec.cases[int(trigger[5:]) - 1].text)
        return (
            f"{trigger[5:]}.\u00a0{text}" if len(spec.cases) > 1 else text
        )  # the first that holds: their order counts, wherever they stand
    if trigger.startswith("variant_") and isinstance(spec, compiled.SplitSpec):
        name, total = trigger.removeprefix("variant_"), sum(weight for _, weight in spec.variants)
        return f"{name} {round(100 * dict(spec.variants)[name] / total)}%"
    if trigger.startswith("event_") and isinstance(spec, compiled.WaitSpec):
        return plain(" / ".join(spec.cases[int(trigger[6:]) - 1].names)) if spec.cases else say("met", language)
    if trigger == "exit" and isinstance(spec, compiled.DelaySpec):
        return " / ".join(say(word, language) for word in missed(spec))
    if trigger == "done" and isinstance(spec, compiled.GotoSpec):
        return say("then", language)
    return say(_ALONE[trigger], language) if trigger in _ALONE else ""


_OUTCOMES = {"case_": "case", "variant_": "variant", "event_": "awaited"}
_ALONE = {"pass": "otherwise", "otherwise": "otherwise", "timeout": "timeout", "failed": "failed"}


def outcome_label(trigger: str, language: Language) -> str:
    """A way out of a step where only its trigger is at hand: the number that the picture writes before its clause, the variant's name."""
    for prefix, word in _OUTCOMES.items():
        if trigger.startswith(prefix):
            return say(word, language, what=trigger.removeprefix(prefix))
    return say(_ALONE[trigger], language) if trigger in _ALONE else trigger


def missed(spec: compiled.DelaySpec) -> list[str]:
    """Why a delay may end the enrolment: its moment is missing, or past."""
    moment = spec.until
    both = (("missing", moment.if_missing), ("past", moment.if_past)) if moment is not None else ()
    return [word for word, then in both if then == "exit"]


def _texts(lines: list[str]) -> list[Line]:
    return [Line(line) for line in lines if line]


def _match(match: EventMatch, language: Language) -> str:
    parts = [" / ".join(match.names)]
    if match.of is not None:
        parts.append(say("of", language, what=match.of.text))
    if match.where is not None:
        parts.append(say("where", language, what=match.where.text))
    return plain(" ".join(parts))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _until(moment: Moment, language: Language, key: str = "until") -> list[str]:
    """The moment, then what shifts it and what stands in for it."""
    what = _clock(moment.clock) if moment.clock is not None else (moment.rule.text if moment.rule else "")
    if moment.offset:
        way = "before_moment" if moment.offset < 0 else "after_moment"
        what = say(way, language, what=what, by=format_duration(abs(moment.offset)))
    lines = [say(key, language, what=what)]
    if moment.at is not None:
        lines.append(say("clock", language, what=_clock(moment.at)))
    if moment.days:
        lines.append(say("days", language, what=", ".join(moment.days)))
    if isinstance(moment.if_missing, int):
        lines.append(say("else", language, what=_clock(moment.if_missing)))
    return lines


def _wait(spec: compiled.WaitSpec, language: Language) -> list[str]:
    lines = [_match(case, language) for case in spec.cases]
    if spec.when is not None:
        lines.append(say("holds", language, what=spec.when.text))
    if isinstance(spec.timeout, int):
        return [*lines, say("at_most", language, what=format_duration(spec.timeout))]
    return [*lines, *_until(spec.timeout, language, "at_most_until")]


def _send(journey: CompiledJourney, spec: compiled.SendSpec, language: Language) -> list[Line]:
    lines: list[Line] = [Line(say("all", language))] if spec.every else []
    for position in spec.positions:
        lines.append(Line(f"{position.channel} {position.template}" if position.template else position.channel))
        beginning = _beginning(position)
        lines += [Line(f"“{beginning}”", quiet=True)] if beginning else []
    if spec.to is not None:
        lines.append(Line(say("to", language, what=spec.to.text)))
    if spec.robot is not None:
        lines.append(Line(say("robot", language, what=spec.robot.text if isinstance(spec.robot, Rule) else spec.robot)))
    if spec.between is not None:
        lines.append(Line(say("between", language, what="-".join(_clock(end) for end in spec.between))))
    if spec.expires is not None:
        what = spec.expires.text if isinstance(spec.expires, Rule) else format_duration(spec.expires)
        lines.append(Line(say("expires", language, what=what)))
    if spec.purpose != journey.journey.purpose:
        lines.append(Line(say("purpose", language, what=spec.purpose)))
    if spec.topic != journey.journey.topic:
        lines.append(Line(say("topic", language, what=spec.topic)))
    if spec.fall_through:
        lines.append(Line(say("undelivered", language)))
    return lines


def _beginning(position: PositionSpec) -> str:
    """How the message begins, names in braces and without their filters; where more follows, an ellipsis says so."""
    texts = [_FILLED_IN.sub(r"{\1}", template.source) for _, key, template in position.parts if key != "page"]
    text = plain(" / ".join(texts))
    shown = text
    while em(shown) > LONGEST_BEGINNING:
        shown = shown[:-1]
    return text if shown == text else shown.rstrip() + "…"


def _grant(spec: compiled.GrantSpec, language: Language) -> list[str]:
    lines = [f"{spec.benefit} {spec.amount:g}" if spec.amount is not None else spec.benefit]
    lines += [say("valid", language, what=format_duration(spec.expires))] if spec.expires is not None else []
    lines += [say("to", language, what=spec.to.text)] if spec.to is not None else []
    lines += [say("once_per", language, what=spec.once_per.text)] if spec.once_per is not None else []
    return lines


def _update(spec: compiled.UpdateSpec) -> list[str]:
    lines = [f"{name} = {_spelled(value)}" for name, value in spec.values]
    lines += [f"{name} {'+' if by >= 0 else '−'} {abs(by):g}" for name, by in spec.increment]
    lines += [f"+ {tag.source}" for tag in spec.add_tags]
    return lines + [f"− {tag.source}" for tag in spec.remove_tags]


def _spelled(value: Template | bool) -> str:  # noqa: FBT001 - a value of the file
    return str(value).lower() if isinstance(value, bool) else value.source


def _call(spec: compiled.CallSpec, language: Language) -> list[str]:
    lines = [spec.endpoint, say("answer", language, what=format_duration(spec.timeout))]
    if spec.default is not None:
        what = ", ".join(f"{name} {_answer(value)}" for name, value in spec.default.items())
        lines.append(say("default", language, what=what))
    return lines


def _answer(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
