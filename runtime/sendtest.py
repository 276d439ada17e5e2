"""`send-test`: one message to one address through one adapter, past the ledger, the policy and every journey."""

import secrets
from collections.abc import Mapping
from typing import Any

from channels.message import Accepted, Fault, IssuesKeys, Message, Outcome, OwnTokens, Rejected, RetryLater, Unknown
from channels.recording import RecordingChannel
from channels.sms.numbers import mobile_number
from journeys.errors import did_you_mean
from runtime.adapters import build_channel, sections
from runtime.clock import Clock
from runtime.settings import ConfigError, Project


def send_one(project: Project, lane: str, address: str, template: str | None, text: str, data: Mapping[str, str], clock: Clock) -> Outcome:
    """Send, and say what came of it. Raises ConfigError for a channel or template that config does not have."""
    known = {name: section for name, section in sections(project).items() if not name.startswith(("grant:", "call:"))}
    section = known.get(lane)
    if section is None:
        hint = did_you_mean(lane, known)
        msg = f"config has no channel {lane}" + (f", did you mean {hint}?" if hint else f"; it has {', '.join(known)}")
        raise ConfigError(msg)
    content = _content(lane, template, text, data, getattr(section, "templates", {}))
    if getattr(section, "adapter", "") == "recording":
        channel: Any = RecordingChannel(project.recording_file)
    else:
        channel = build_channel(project, clock, OwnTokens(), lane, section)
    key = secrets.token_hex(16)
    keys = channel.new_keys(1) if isinstance(channel, IssuesKeys) else [key]
    if isinstance(keys, Fault):
        return keys
    if not keys:
        msg = f"{lane}: the vendor issues no keys; try `journeyd doctor`"
        raise ConfigError(msg)
    name = lane.partition(":")[0]
    to = mobile_number(address) if name == "sms" else address
    if to is None:
        msg = f"{address} is no mobile number; expected one such as 13800138000 or +8613800138000"
        raise ConfigError(msg)
    message = Message(
        key, keys[0], clock.now(), "message", "wecom" if name == "robot" else name, to, "send-test", "send-test", 0, "", content
    )
    outcome: Outcome = channel.send(message)
    return outcome


def told(outcome: Outcome) -> str:
    """What came of it, for the person who tried."""
    match outcome:
        case Accepted(reference=reference):
            return f"Accepted: the vendor has it, reference {reference}" if reference else "Accepted: the vendor has it"
        case Rejected(code=code, reason=reason):
            return f"Rejected: {code} {reason}".strip()
        case RetryLater(after=after, reason=reason):
            return f"Not sent: {reason or 'the vendor asks for patience'}; try again after {after // 1000} s, or see `journeyd doctor`"
        case Fault(code=code, reason=reason):
            return f"Not sent: {code} {reason}; `journeyd doctor` says what to mend"
        case Unknown(reason=reason):
            return f"Unknown: nobody can tell whether it went out ({reason}); look at the phone before you try again"


def _content(lane: str, template: str | None, text: str, data: Mapping[str, str], templates: Mapping[str, Any]) -> dict[str, Any]:
    if lane in ("wechat", "sms"):
        if template is None or template not in templates:
            known = ", ".join(templates) or "none"
            msg = f"{lane}: expected --template with one that config declares ({known}), found {template or 'none'}"
            raise ConfigError(msg)
        wanted = templates[template].fields
        if wanted.keys() != data.keys():
            needs = " ".join(f"--data.{name} …" for name in wanted) or "no --data"
            msg = f"{lane}: template {template} takes {needs}; found {', '.join(data) or 'none'}"
            raise ConfigError(msg)
        fields = dict(data)
        return {"template": template, ("data" if lane == "wechat" else "params"): fields}
    return (
        {"title": "journeyd", "body": text}
        if lane == "push"
        else {"subject": text[:60], "body": text}
        if lane == "email"
        else {"text": text}
    )
