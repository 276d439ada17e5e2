"""What people read in the terminal, in Chinese and in English. Identifiers, logs and JSON stay English."""

from typing import Any

from journeys.errors import Language
from journeys.localtime import print_instant

# action of a log entry: (English, Chinese); {…} are its why
ACTIONS: dict[str, tuple[str, str]] = {
    "entered": ("entered ({fact})", "进入旅程（{fact}）"),
    "passed_over": ("passed over", "跳过（条件不成立）"),
    "branched": ("took branch {case}", "走分支 {case}"),
    "split": ("drawn into {variant}", "抽到分组 {variant}"),
    "waits": ("waits until {until}", "等到 {until}"),
    "matched": ("what it waited for happened", "等到了"),
    "timed_out": ("waited in vain", "等待超时"),
    "event_ignored": ("event {event} did not count ({reason})", "事件 {event} 不算（{reason}）"),
    "held": ("held until {until} ({reason})", "暂缓到 {until}（{reason}）"),
    "sent": ("planned a message by {channel}", "发出 {channel} 消息"),
    "suppressed": ("not sent: {reason}", "没有发：{reason}"),
    "late": ("too late by {late_by}", "迟了 {late_by}，不再做"),
    "grant_asked": ("asked for benefit {what}", "申请权益 {what}"),
    "granted": ("benefit {what} was given", "权益 {what} 已发放"),
    "grant_failed": ("benefit {what} was not given: {reason}", "权益 {what} 没有发成：{reason}"),
    "call_asked": ("asked endpoint {what}", "请求接口 {what}"),
    "call_ok": ("endpoint {what} answered", "接口 {what} 已回应"),
    "call_failed": ("endpoint {what} failed: {reason}", "接口 {what} 失败：{reason}"),
    "settled_late": ("settled after the journey went on", "结果来迟了，只记下"),
    "updated": ("profile and tags were changed", "更新了资料和标签"),
    "goal_reached": ("reached the goal by {event}", "达成目标（{event}）"),
    "exit_when": ("left: {reason}", "提前离开：{reason}"),
    "no_moment": ("no moment to wait for ({reason})", "没有可等的时刻（{reason}）"),
    "ended": ("ended: {reason}", "结束：{reason}"),
    "failed": ("failed: {reason}", "出错：{reason}"),
    "consent_given": ("said yes to {channel} {purpose} ({source})", "同意接收 {channel} {purpose}（{source}）"),
    "consent_withdrawn": ("said no to {channel} {purpose} ({source})", "拒绝接收 {channel} {purpose}（{source}）"),
    "merged": ("{former} is the same person and was merged into her ({source}: {by})", "{former} 是同一个人，已并入（{source}：{by}）"),
    "address_dropped": ("the {kind} is dead and was dropped", "{kind} 已失效，不再使用"),
    "segment_entered": ("entered segment {segment}", "进入分群 {segment}"),
    "segment_left": ("left segment {segment}", "离开分群 {segment}"),
    "stage_changed": ("stage {from} → {to}", "阶段 {from} → {to}"),
}

REASONS: dict[str, str] = {
    "no_consent": "没有同意", "unreachable": "联系不上", "no_credit": "没有订阅次数", "cap": "超过频次", "suppressed": "营销暂停",
    "expired": "过期", "late": "太迟", "cancelled": "已取消", "invalid_content": "文案缺内容", "budget": "预算用完", "held_out": "对照组",
    "quiet_hours": "勿扰时段", "between": "不在可发时段", "channel_paused": "渠道暂停", "completed": "走完", "converted": "已转化",
    "ended": "活动结束", "restarted": "重新开始", "merged": "并入另一用户", "closed": "已关闭",
    "where": "不合条件", "reentry": "还不能再进",
    "mode": "已在旅程中",
    "holdout": "项目对照组", "pace": "超过进入速度", "timeout": "超时", "too_late": "太晚",
    "arrived_late": "到得太晚", "too_early": "太早", "event": "事件",
    "segment": "分群", "schedule": "定时", "existing": "已在分群", "date": "日期", "at": "定点", "missing": "缺失", "past": "已过",
}  # fmt: skip

WORDS: dict[str, tuple[str, str]] = {
    "journey": ("journey", "旅程"),
    "entered": ("entered", "进入"),
    "stage": ("stage", "阶段"),
    "now": ("now", "现在"),
    "month_ends": ("end of month", "月底"),
    "days_before": ("{days} days ago", "{days} 天前"),
    "unmapped": (
        "arrives under names that no rule sees (declare them, or map them in config):",
        "收到了规则用不到的名字（在 audience.yaml 声明，或在 config 里对应）：",
    ),
    "messages": ("messages", "消息"),
    "suppressed": ("suppressed", "没有发"),
    "converted": ("converted", "转化"),
    "holdout": ("hold-out", "对照组"),
    "inside": ("inside", "正在走"),
    "ended": ("ended", "结束"),
    "benefits": ("benefits", "权益"),
    "why": ("why", "依据"),
    "step": ("step", "步骤"),
    "time": ("time", "时间"),
    "what": ("what happened", "发生了什么"),
    "refused": ("not let in", "没有进入"),
    "times": ("times", "次数"),
    "last": ("last", "最近"),
    "reason": ("reason", "原因"),
    "state": ("state", "状态"),
    "channel": ("channel", "渠道"),
    "content": ("content", "内容"),
    "messages_of": ("Messages", "消息"),
    "story_of": ("The story of {user}", "{user} 的经过"),
    "unknown_user": ("nobody is known by the id {user}", "没有 id 为 {user} 的用户"),
    "checked": ("{files} journeys, {tests} tests: no findings", "{files} 个旅程、{tests} 条测试，没有问题"),
    "findings": ("{errors} errors, {warnings} warnings", "{errors} 个错误，{warnings} 个提醒"),
    "applied": ("release {id}: {changed} journeys changed", "已发布 {id} 号版本，{changed} 个旅程有变化"),
    "unchanged": ("nothing changed since release {id}", "与 {id} 号版本相同，没有变化"),
    "rebuild": ("profiles", "用户画像"),
    "differs": ("{user}: {what} are not what the events say", "{user}：{what} 与事件不符"),
    "history_of": ("the history of {event}", "{event} 的历史"),
    "unreadable": ("{user}: the profile cannot be read; it was left as it is", "{user}：画像读不出来，没有改动"),
    "rebuilt": (
        "{users} profiles: {differing} differed from their events and were made anew, {renewed} were brought to this release",
        "{users} 份画像：{differing} 份与事件不符，已重建；{renewed} 份按当前版本重算",
    ),
    "compared": (
        "{users} profiles: {differing} differ from their events, {renewed} still wait for this release",
        "{users} 份画像：{differing} 份与事件不符；{renewed} 份还没按当前版本重算",
    ),
    "go_on": ("stopped; go on with: {command}", "停下了；接着做：{command}"),
    "town": ("A town lives 90 days", "小镇的 90 天"),
    "demo_next": ("Look further: {commands}", "接着看：{commands}"),
    "channel_held": ("{what} is held since {since}, next probe {probe}:", "{what} 自 {since} 起暂停，{probe} 再试："),
    "channel_pauses": ("{what} pauses until {until}:", "{what} 暂歇到 {until}："),
    "doubts": ("{lane}: of attempts whose end was unknown: {shown}", "{lane}：结果一度不明的尝试：{shown}"),
    "settled_answer": ("settled by a late answer", "由迟到的回应确认"),
    "settled_lookup": ("settled by asking the vendor", "由查询确认"),
    "settled_receipt": ("settled by a receipt", "由回执确认"),
    "settled_open": ("still unknown", "仍不明"),
    "settled_nobody": ("given up, unknown for ever", "放弃，永远不明"),
    "settled_repeat": ("repeated safely", "安全地重发"),
    "receipt_yes": ("delivered", "已送达"),
    "receipt_no": ("not delivered", "未送达"),
    "number": ("id", "编号"),
    "kind": ("kind", "种类"),
    "source": ("source", "来源"),
    "user": ("user", "用户"),
    "imported": (
        "{file}: {rows} rows: {accepted} new, {duplicates} known before, {rejected} rejected",
        "{file}：{rows} 行，新收 {accepted}，已有 {duplicates}，退回 {rejected}",
    ),
    "imported_dry": (
        "{file}: {rows} rows: {accepted} good, {rejected} bad; nothing was written",
        "{file}：{rows} 行，可收 {accepted}，不可收 {rejected}；什么也没写",
    ),
    "import_resumed": ("{file}: goes on after row {rows}, where it was interrupted", "{file}：上次中断在第 {rows} 行之后，接着导"),
    "import_stopped": (
        "{file}: stopped after row {rows}; the same command goes on from there",
        "{file}：停在第 {rows} 行之后；再执行同一条命令就接着导",
    ),
    "rejected_rows": ("rows that were not taken: {file}", "没有收下的行：{file}"),
    "retried": ("{taken} taken, {left} left", "收下 {taken} 条，留下 {left} 条"),
    "dropped": ("{n} dropped", "丢弃 {n} 条"),
    "nothing_aside": ("nothing is set aside", "没有隔离的记录"),
    "made": ("made {folder}: next, {commands}", "已建好 {folder}，接着：{commands}"),
    "vendor": ("vendor", "服务商"),
    "requests": ("requests", "请求"),
    "taken": ("taken", "已收下"),
    "vendor_refused": ("refused", "被拒"),
    "vendor_unknown": ("unknown, and what settled it", "结果一度不明，怎样确认"),
    "audit": (
        "Ledger and vendors, {compared} messages: not at the vendor {missing}, denied by the ledger {contradicted}, taken twice {twice}",
        "账本与服务商核对 {compared} 条：服务商没有的 {missing} 条，账本否认的 {contradicted} 条，重复收下的 {twice} 条",
    ),
}


def word(key: str, language: Language, **values: Any) -> str:
    """A word or sentence of the terminal."""
    return WORDS[key][0 if language == "en" else 1].format(**values)


def reason(code: str, language: Language) -> str:
    """A reason for people; the file's own reasons stand as they are."""
    return REASONS.get(code, code) if language == "zh" else code


def action_text(action: str, why: dict[str, Any], language: Language, zone: Any) -> str:
    """The sentence of a log entry."""
    english, chinese = ACTIONS.get(action, (action, action))
    values = {key: _shown(key, value, language, zone) for key, value in why.items()}
    return (english if language == "en" else chinese).format_map(_Gaps(values))


class _Gaps(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def _shown(key: str, value: Any, language: Language, zone: Any) -> str:
    if key in ("until", "due_at") and isinstance(value, int):
        return print_instant(value, zone)
    if key == "late_by" and isinstance(value, int):
        return f"{value // 60_000} min"
    if key in ("reason", "fact"):
        return reason(str(value), language)
    return str(value)
