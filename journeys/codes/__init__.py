"""Every code that `check` may report. A code is never given a second meaning; dropped codes are not used again."""

from collections.abc import Mapping

from journeys.codes import audience, conditions, config, files, flow, journey, names, sends, traps
from journeys.codes.code import Both, Code

AREAS: tuple[tuple[Both, Mapping[str, Code]], ...] = (
    (("Files and their shape", "文件和形状"), files.CODES),
    (("YAML's traps", "YAML 的陷阱"), traps.CODES),
    (("Names", "名字"), names.CODES),
    (("Conditions and texts", "条件和文案"), conditions.CODES),
    (("Steps and their time", "步骤和时间"), flow.CODES),
    (("A journey's own keys, and its tests", "旅程的键和测试"), journey.CODES),
    (("Messages", "消息"), sends.CODES),
    (("The audience", "用户"), audience.CODES),
    (("Sources in config.toml", "config.toml 里的来源"), config.CODES),
)
CODES: Mapping[str, Code] = {code: entry for _, codes in AREAS for code, entry in codes.items()}
