"""Findings: what is wrong in a file, where, and what to do, with a stable code and texts in two languages."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning"]
Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file; lines and columns count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


# code: (severity, English, Chinese). A code is never given a second meaning; dropped codes are not used again.
CODES: dict[str, tuple[Severity, str, str]] = {
    # files and YAML
    "J001": ("error", "cannot read the file: {problem}", "文件读不了：{problem}"),
    "J002": ("error", "expected UTF-8 text, found other bytes; save the file as UTF-8", "文件不是 UTF-8 编码，请另存为 UTF-8"),
    "J003": ("error", "expected at most {limit} bytes, found {found}; split the file", "文件超过 {limit} 字节（现在 {found}），请拆分"),
    "J004": ("error", "expected a journey, found an empty file", "文件是空的，应是一个旅程"),
    "J005": ("error", "the YAML cannot be read: {problem}", "YAML 写法有误：{problem}"),
    "J006": ("error", "expected plain values, found the YAML tag {found}; remove it", "不能用 YAML 标签 {found}，请删掉"),
    "J007": (
        "error",
        "expected plain values, found an anchor or alias {found}; write the value out",
        "不能用 YAML 锚点或引用 {found}，请直接写值",
    ),
    "J008": ("error", "the key {found} stands twice (first on line {first}); keep one", "键 {found} 重复（第 {first} 行已有），请留一个"),
    "J009": ("error", "expected {expected} at the top of the file, found {found}", "文件最外层应是 {expected}，现在是 {found}"),
    "J010": ("error", "two files have the journey id {found} (the other: {other}); ids are unique", "旅程 id {found} 与 {other} 重复"),
    "J011": ("error", "expected the file to be named {expected}, after its journey id", "文件名应与旅程 id 一致：{expected}"),
    "J012": ("error", "unknown key {found}{hint}", "不认识的键 {found}{hint}"),
    "J013": ("error", "{problem}", "{problem}"),
    "J014": ("error", "the key {found} is missing", "缺少键 {found}"),
    "J015": ("error", "expected exactly one of {expected}, found {found}", "{expected} 中应恰好写一个，现在是 {found}"),
    "J016": ("error", "no journey file found in {found}", "在 {found} 里没有找到旅程文件"),
    "J017": ("error", "lists are nested more than {limit} deep", "嵌套超过 {limit} 层"),
    # names
    "J020": (
        "error",
        "unknown event {found}{hint}; declare it under events: in audience.yaml",
        "没有声明的事件 {found}{hint}；请在 audience.yaml 的 events 里声明",
    ),
    "J021": ("error", "unknown segment {found}{hint}", "没有这个分群 {found}{hint}"),
    "J022": ("error", "unknown trait {found}{hint}", "没有这个特征 {found}{hint}"),
    "J023": ("error", "unknown field {found} of {event}{hint}", "{event} 没有字段 {found}{hint}"),
    "J024": ("error", "unknown channel {found}{hint}; declare [channels.{found}] in config.toml", "没有配置渠道 {found}{hint}"),
    "J025": ("error", "unknown template {found} of {channel}{hint}", "{channel} 没有模板 {found}{hint}"),
    "J026": ("error", "unknown field {found} of template {template}{hint}", "模板 {template} 没有字段 {found}{hint}"),
    "J027": ("error", "template {template} needs the field {found}", "模板 {template} 缺少字段 {found}"),
    "J028": ("error", "unknown benefit {found}{hint}; declare [benefits.{found}] in config.toml", "没有配置权益 {found}{hint}"),
    "J029": ("error", "unknown endpoint {found}{hint}; declare [endpoints.{found}] in config.toml", "没有配置接口 {found}{hint}"),
    "J030": ("error", "unknown robot {found}{hint}; declare [robots.{found}] in config.toml", "没有配置群机器人 {found}{hint}"),
    "J031": ("error", "unknown step {found}{hint}", "没有步骤 {found}{hint}"),
    "J032": ("error", "unknown journey {found}{hint}", "没有旅程 {found}{hint}"),
    "J033": (
        "error",
        "unknown name {found}{hint}; expected user, entry, steps{event}",
        "不认识的名字 {found}{hint}；可用 user、entry、steps{event}",
    ),
    "J034": ("error", "unknown variant {found} of step {step}{hint}", "步骤 {step} 没有分组 {found}{hint}"),
    "J035": ("error", "steps.{step} has no field {found}{hint}", "steps.{step} 没有字段 {found}{hint}"),
    # conditions
    "J040": ("error", "the condition cannot be read: {problem}", "条件写法有误：{problem}"),
    "J041": (
        "error",
        "{found} is not allowed in a condition; allowed are names, comparisons, and, or, not, in, + - * / and the functions of the language",
        "条件里不能用 {found}",
    ),
    "J042": ("error", "unknown function {found}{hint}", "没有函数 {found}{hint}"),
    "J043": ("error", "{function} expects {expected}, found {found}", "{function} 需要 {expected}，现在是 {found}"),
    "J044": (
        "error",
        "expected a condition (true or false), found {found}; compare it with something",
        "这里要一个条件（真或假），现在是 {found}；请写比较",
    ),
    "J045": ("error", "cannot compare {left} with {right}", "{left} 不能和 {right} 比较"),
    "J046": ("error", "{operator} works on numbers and times, found {found}", "{operator} 只能用于数字和时间，现在是 {found}"),
    "J047": (
        "error",
        "event.* may stand only inside a where; here use entry.* or steps.*",
        "event.* 只能写在 where 里；这里请用 entry.* 或 steps.*",
    ),
    "J048": ("error", "{function} may not stand in a segment", "分群里不能用 {function}"),
    "J049": (
        "error",
        "a time function must stand alone on one side of a comparison here, so that its moment can be foreseen",
        "时间函数在这里必须单独在比较的一边，才能预知何时变化",
    ),
    "J050": (
        "warning",
        "{found} drops users for whom {name} is missing; add “or {name} is missing” if they should pass",
        "{found} 不含 {name} 缺失的人；若要包含，请加 or {name} is missing",
    ),
    "J051": (
        "error",
        "{name} exists only where step {step} succeeded; guard it with on_failed that exits, or if: steps.{step}.ok",
        "{name} 只在步骤 {step} 成功后才有；请让 on_failed 退出，或用 if: steps.{step}.ok",
    ),
    "J052": ("error", "{found} refers in a circle to itself ({circle})", "{found} 引用成环（{circle}）"),
    # templates of texts
    "J060": ("error", "the text cannot be read: {problem}", "文案写法有误：{problem}"),
    "J061": (
        "error",
        "{found} is not allowed in a text; allowed is {{{{ name | filter }}}}",
        "文案里不能用 {found}，只能写 {{{{ 名字 | 过滤器 }}}}",
    ),
    "J062": ("error", "unknown filter {found}{hint}", "没有过滤器 {found}{hint}"),
    "J063": ("error", "{filter} expects {expected}, found {found}", "{filter} 需要 {expected}，现在是 {found}"),
    # flow
    "J070": ("error", "two steps have the id {found} (the other on line {first})", "步骤 id {found} 重复（第 {first} 行已有）"),
    "J071": ("error", "step {found} can never be reached", "步骤 {found} 永远走不到"),
    "J072": (
        "error",
        "a loop without a wait: {circle}; put a delay or wait_for into it",
        "循环里没有等待：{circle}；请放一个 delay 或 wait_for",
    ),
    "J073": ("error", "the jump back to {found} needs max_visits", "往回跳到 {found} 要写 max_visits"),
    "J074": ("error", "max_visits is only for a jump back; {found} comes later", "max_visits 只用于往回跳；{found} 在后面"),
    "J075": ("error", "a step of kind {found} needs an id", "{found} 步骤要有 id"),
    "J076": ("error", "was: {found} is a step of this file; it can only name a former one", "was: {found} 还在本文件里，只能写旧的 id"),
    # entry and journey
    "J080": (
        "error",
        "a live segment entry needs existing: skip or existing: enrol (what happens to those already inside)",
        "按分群进入的旅程要写 existing: skip 或 enrol（已在分群里的人怎么办）",
    ),
    "J081": ("error", "holdout needs a goal: without one there is nothing to compare", "holdout 需要 goal，否则没有可比的"),
    "J082": ("error", "holdout is refused with purpose: service: nobody is denied a service message", "purpose: service 不能有 holdout"),
    "J083": (
        "error",
        "until: {found} may be missing; say if_missing: go_on, exit or a time",
        "until: {found} 可能缺失，请写 if_missing: go_on、exit 或一个时刻",
    ),
    "J084": (
        "warning",
        "goal {found} asks for a coupon that the hold-out never gets; use order_paid to compare fairly",
        "目标 {found} 要用券，对照组没有券，比较不公平；建议用 order_paid",
    ),
    "J085": ("error", "{found} goes with {needs}", "{found} 要和 {needs} 一起用"),
    "J086": ("error", "on_late needs max_lateness", "on_late 要和 max_lateness 一起用"),
    "J087": ("warning", "a marketing journey without a goal: nobody can tell whether it worked", "营销旅程没有 goal，无法衡量效果"),
    "J088": (
        "error",
        "a release that removes {found}, which {who} uses with people inside, is refused",
        "{who} 里还有人，用着 {found}，不能删除",
    ),
    "J089": (
        "error",
        "{found} cannot be asked of everybody at once, as the where of this entry is; write it as the if: of the first step",
        "这里的 where 要一次问遍所有人，不能用 {found}；请写到第一个步骤的 if 里",
    ),
    # sends
    "J090": (
        "error",
        "template {found} has purpose {template_purpose}, the step sends {purpose}",
        "模板 {found} 是 {template_purpose}，步骤要发的是 {purpose}",
    ),
    "J091": ("error", "only {expected} goes to a robot, found {found}", "发给群机器人只能用 {expected}，现在是 {found}"),
    "J092": ("error", "reach: all and fall_through exclude each other", "reach: all 和 fall_through 不能同时写"),
    "J093": (
        "error",
        "between {between} lies wholly inside the quiet hours {quiet}: it would be held for ever",
        "between {between} 全部落在勿扰时段 {quiet} 里，永远发不出去",
    ),
    "J094": ("error", "field {field} ({kind}): {problem}", "字段 {field}（{kind}）：{problem}"),
    "J095": (
        "warning",
        "marketing by sms could go out at {at}, when the vendor refuses it (allowed {earliest}-{latest}); set between, or quiet hours",
        "营销短信可能在 {at} 发出，通道只许 {earliest}-{latest}；请写 between 或设勿扰时段",
    ),
    "J096": (
        "error",
        "template {found} has variables; this vendor allows none in marketing sms ({why})",
        "模板 {found} 带变量，该通道的营销短信不许有变量（{why}）",
    ),
    "J097": (
        "error",
        "the text of marketing template {found} must end with {expected} ({why})",
        "营销短信模板 {found} 的结尾必须是 {expected}（{why}）",
    ),
    "J098": (
        "warning",
        "template {found} looks like {uses}, which this vendor bans in marketing sms ({why})",
        "模板 {found} 像是 {uses}，该通道的营销短信禁止（{why}）",
    ),
    "J099": ("error", "the text of template {found} must not contain {what}", "模板 {found} 的正文里不能有 {what}"),
    # audience
    "J100": ("error", "trait {found} needs exactly one of {expected}", "特征 {found} 要恰好写 {expected} 之一"),
    "J101": ("error", "{found} does not go with {aggregate}", "{found} 不能和 {aggregate} 一起用"),
    "J102": (
        "error",
        "{aggregate} makes a {made}, the trait {found} is declared {declared}",
        "{aggregate} 得到 {made}，特征 {found} 声明的是 {declared}",
    ),
    "J103": ("error", "the last lifecycle stage must have no when, the others must", "生命周期最后一个阶段不能写 when，其余必须写"),
    "J104": ("error", "event {found} belongs to the system and is not declared", "事件 {found} 由系统产生，不用声明"),
    # tests
    "J111": ("error", "test “{test}” failed: {problem}", "测试“{test}”没有通过：{problem}"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, at one place. `params` fill the code's texts; `hint` is a did-you-mean or empty."""

    code: str
    place: Place
    params: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def severity(self) -> Severity:
        """`error` stops an apply, `warning` does not."""
        return CODES[self.code][0]

    def text(self, language: Language = "en") -> str:
        """The sentence for a person, without place and code."""
        template = CODES[self.code][1 if language == "en" else 2]
        params = {"hint": "", **self.params}
        if params["hint"]:
            params["hint"] = f", did you mean {params['hint']}?" if language == "en" else f"，是不是 {params['hint']}？"
        return template.format(**params)

    def line(self, language: Language = "en") -> str:
        """`file:line:col: J012 unknown key …`, as editors and terminals make it clickable."""
        return f"{self.place}: {self.code} {self.text(language)}"


class JourneyError(Exception):
    """A journey was compiled although `check` has findings for it; run `journeyd check` and mend them first."""


def did_you_mean(found: object, known: Iterable[str]) -> str:
    """The closest known name, or nothing when none is close."""
    matches = difflib.get_close_matches(str(found), [name for name in known if name != found], n=1, cutoff=0.6)
    return matches[0] if matches else ""
