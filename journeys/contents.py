"""The contents of a send: which keys a channel takes, which templates exist, and the texts as templates."""

import re
from collections.abc import Callable

from journeys.compiled import PositionSpec
from journeys.errors import did_you_mean, nearest, unknown_template
from journeys.expectations import NONE
from journeys.expression import kind_of
from journeys.model import EmailContent, Position, PushContent, Robot, SendStep, SmsContent, Strict, WechatContent, WecomContent
from journeys.source import Path_, Source
from journeys.template import Template
from journeys.world import MessageTemplate, World

_VALUE = re.compile(r"\{\{.*?\}\}")
_CUT = re.compile(r"\|\s*truncate\((\d{1,6})\)\s*\}\}$")
_LONG = ("text", "choice", "list", "any")  # numbers and times are short
ReadText = Callable[[str, Path_], Template | None]


class ContentReader:
    """Compiles the positions of sends against the channels that exist."""

    def __init__(self, source: Source, world: World) -> None:
        self.source, self.world = source, world

    def positions(self, step: SendStep, path: Path_, purpose: str, text: ReadText) -> tuple[PositionSpec, ...]:
        """The positions that are right; what is wrong is reported."""
        found: list[PositionSpec] = []
        for index, position in enumerate(step.send):
            here = (*path, "send", index)
            chosen = position.chosen()
            if len(chosen) != 1:
                names = ", ".join(name for name, _ in chosen) or NONE
                self.source.report("J015", here, expected=", ".join(Position.model_fields), found=names)
                continue
            channel, content = chosen[0]
            if isinstance(step.to, Robot) and channel != "wecom":
                self.source.report("J091", (*here, channel), key=True, expected="wecom", found=channel)
            if channel not in self.world.channels:
                hint = did_you_mean(channel, self.world.channels)
                self.source.report("J024", (*here, channel), key=True, found=channel, hint=hint)
                continue
            spec = self._content(channel, content, (*here, channel), purpose, text)
            if spec is not None:
                found.append(spec)
        return tuple(found)

    def _content(self, channel: str, content: Strict, path: Path_, purpose: str, text: ReadText) -> PositionSpec | None:
        if isinstance(content, WechatContent):
            values = [("data", k, v) for k, v in content.data.items()]
            page = [("", "page", content.page)] if content.page is not None else []
            return self._templated(channel, content.template, values, page, path, purpose, text)
        if isinstance(content, SmsContent):
            values = [("params", k, v) for k, v in content.params.items()]
            return self._templated(channel, content.template, values, [], path, purpose, text)
        assert isinstance(content, PushContent | WecomContent | EmailContent)  # noqa: S101 - a closed union
        plain = [("", k, v) for k, v in content.model_dump(exclude_none=True).items()]
        return self._spec(channel, None, plain, path, text)

    def _templated(
        self,
        channel: str,
        template: str,
        values: list[tuple[str, str, str]],
        others: list[tuple[str, str, str]],
        path: Path_,
        purpose: str,
        text: ReadText,
    ) -> PositionSpec | None:
        templates = self.world.channels[channel]
        known = templates.get(template)
        if known is None:
            self.source.report("J025", (*path, "template"), **unknown_template(template, channel, self.world.channels))
            return None
        if known.purpose is not None and known.purpose != purpose:
            self.source.report("J090", (*path, "template"), found=template, template_purpose=known.purpose, purpose=purpose)
        self._fields(channel, template, known, values, path)
        if channel == "sms":
            self._sms(template, known, purpose, (*path, "template"))
        spec = self._spec(channel, template, [*others, *values], path, text)
        if channel == "wechat":
            self._long_values(spec, known, path)
        return spec

    def _sms(self, template: str, known: MessageTemplate, purpose: str, path: Path_) -> None:
        """What the vendor of short messages forbids: variables, a missing way to refuse, banned uses, a signature in the text."""
        rules, text = self.world.sms_rules, known.text
        if rules is None:
            return
        if purpose == "marketing" and known.fields and not rules.variables:
            self.source.report("J096", path, found=template, why=rules.why)
        if text is None:
            return
        if "【" in text or "】" in text:
            self.source.report("J099", path, found=template, what="【】")
        if purpose == "marketing":
            if not rules.ends_well(text):
                self.source.report("J097", path, found=template, expected=rules.endings[0], why=rules.why)
            uses = rules.uses(text)
            if uses:
                self.source.report("J098", path, found=template, uses="、".join(uses), why=rules.why)
        elif any(ending in text for ending in rules.endings):
            self.source.report("J099", path, found=template, what=rules.endings[0])

    def _fields(self, channel: str, template: str, known: MessageTemplate, values: list[tuple[str, str, str]], path: Path_) -> None:
        field_problem = self.world.field_problem if channel == "wechat" else None
        written = {key for _, key, _ in values}
        missing = [key for key in known.fields if key not in written]
        for section, key, value in values:
            if key not in known.fields:
                hint = did_you_mean(key, missing)
                told = {"hint": hint} if hint else {"known": nearest(key, known.fields)}
                self.source.report("J026", (*path, section, key), key=True, found=key, template=template, **told)
                missing = [name for name in missing if name != hint]  # it is there, but for its spelling
                continue
            problem = field_problem(known.fields[key], value) if field_problem is not None and "{{" not in value else None
            if problem is not None:
                self.source.report("J094", (*path, section, key), field=key, kind=known.fields[key], problem=problem)
        for key in missing:
            self.source.report("J027", path, key=True, template=template, found=key)

    def _long_values(self, spec: PositionSpec, known: MessageTemplate, path: Path_) -> None:
        """J064: over a field's limit for long values only: much fixed text and a value that is not cut, or not cut enough."""
        for section, key, part in spec.parts:
            field = known.fields.get(key)
            limit = self.world.field_limit(field) if field is not None and self.world.field_limit is not None else None
            values = _VALUE.findall(part.source)
            if limit is None or not values or len(values) != len(part.nodes):
                continue
            fixed = len(_VALUE.sub("", part.source))
            cut = {value: int(match[1]) for value in values if (match := _CUT.search(value))}
            long = [v for v, node in zip(values, part.nodes, strict=True) if v not in cut and kind_of(node) in _LONG and "date(" not in v]
            room = limit - fixed - sum(cut.values())
            if room < 0 or (long and fixed * 2 >= limit):
                value = long[0] if long else max(cut, key=lambda v: cut[v], default=values[0])
                room = max(0, room if long else room + cut.get(value, 0))
                self.source.report("J064", (*path, section, key), field=key, kind=field, limit=limit, fixed=fixed, value=value, room=room)

    def _spec(self, channel: str, template: str | None, texts: list[tuple[str, str, str]], path: Path_, text: ReadText) -> PositionSpec:
        parts: list[tuple[str, str, Template]] = []
        for section, key, value in texts:
            here = (*path, section, key) if section else (*path, key)
            self.source.report_lost(here, value)
            parsed = text(value, here)
            if parsed is not None:
                parts.append((section, key, parsed))
        return PositionSpec(channel, template, tuple(parts))
