"""What `explain` says, in Chinese and in English: log entries, reasons as sentences, who she is, why not. Identifiers stay English."""

from collections.abc import Mapping
from typing import Any

from journeys.errors import Language
from journeys.phrasing import phrase

Texts = dict[str, tuple[str, str]]  # by key: (English, Chinese)

# action of a log entry: (English, Chinese); {…} are its why
ACTIONS: Texts = {
    "entered": ("entered: {fact}", "进入旅程：{fact}"),
    "entered_held": ("entered the hold-out (measured, never messaged): {fact}", "进入对照组（只衡量，什么也不发）：{fact}"),
    "refused": ("was not let in: {reason}", "没有让进：{reason}"),
    "unreadable": ("a record that cannot be read", "一条读不出来的记录"),
    "event": ("{event} {data}", "{event} {data}"),
    "moved": ("moved to v{version}", "移到 v{version}"),
    "moved_until": (
        "moved to v{version}: until {until} instead of {was_until}",
        "移到 v{version}：等到 {until}，原为 {was_until}",
    ),
    "moved_over": (
        "moved to v{version}, where this was over at {until} (instead of {was_until}): what follows is late",
        "移到 v{version}，在那里 {until} 就已到点（原为 {was_until}）：后面的算迟",
    ),
    "paused": ("the journey is paused: it goes on from here", "旅程暂停，之后从这里继续"),
    "passed_over_had": ("passed over: she had it before she was moved to this version", "跳过：移到此版本之前已经收到过"),
    "passed_over_max_visits": ("does not go back again: {max_visits} {max_visits:time|times} at most", "不再跳回：最多 {max_visits} 次"),
    "passed_over": ("passed over: its condition does not hold", "跳过：条件不成立"),
    "branched": ("took branch {case}", "走分支 {case}"),
    "split": ("drawn into {variant}", "抽到分组 {variant}"),
    "waits": ("waits until {until}", "等到 {until}"),
    "waits_for": ("waits for {for} until {until}", "等 {for}，最迟到 {until}"),
    "matched": ("what it waited for happened", "等到了"),
    "matched_event": ("what it waited for happened: {event}", "等到了 {event}"),
    "timed_out": ("waited in vain", "等待超时"),
    "event_ignored": ("event {event} of {event_time} did not count: {reason}", "{event_time} 的事件 {event} 不算：{reason}"),
    "held": ("held until {until}: {reason}", "暂缓到 {until}：{reason}"),
    "sent": ("planned a message by {channel}", "发{channel}"),
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
    "no_moment": ("no moment to wait for: {reason}", "没有可等的时刻：{reason}"),
    "ended": ("ended: {reason}", "结束：{reason}"),
    "failed": ("failed: {reason}", "出错：{reason}"),
    "consent_given": ("said yes to {what}", "同意接收{what}"),
    "consent_withdrawn": ("said no to {what}", "拒绝接收{what}"),
    "merged": ("{former} is the same person and was merged into her ({source}: {by})", "{former} 是同一个人，已并入（{source}：{by}）"),
    "address_dropped": ("the {kind} is dead and was dropped", "{kind} 已失效，不再使用"),
    "address_moved": ("the {kind} belongs to {to} now and is not used any more", "{kind} 现在属于 {to}，不再使用"),
    "segment_entered": ("entered segment {segment}", "进入分群{segment}"),
    "segment_left": ("left segment {segment}", "离开分群{segment}"),
    "stage_changed": ("stage {from} → {to}", "阶段 {from} → {to}"),
}

# reasons as sentences, for stories: (English, Chinese). What is not here is the file's own word.
REASON_SENTENCES: Texts = {
    "no_consent": ("she has not agreed to such messages on this channel", "没有同意在这个渠道收这类消息"),
    "unreachable": ("no address of hers is known there", "没有可用的联系方式"),
    "no_credit": ("no subscription is left (one that she gives is good for one message)", "没有剩余的订阅次数（授权一次只能发一条）"),
    "cap": ("a cap is used up", "超过频次上限"),
    "suppressed": ("marketing to her is stopped", "对她的营销已暂停"),
    "expired": ("what it announces would be over", "内容已过期"),
    "late": ("it had fallen too far behind (max_lateness)", "落后太多（max_lateness）"),
    "cancelled": ("cancelled: she had left by then", "已取消：她那时已离开旅程"),
    "invalid_content": ("its text cannot be filled in for her", "文案套不出来"),
    "budget": ("the benefit's budget is used up", "权益预算已用完"),
    "held_out": ("she is in the hold-out: measured, never messaged", "在对照组：只衡量，什么也不发"),
    "quiet_hours": ("quiet hours, no marketing now", "勿扰时段，不发营销"),
    "between": ("outside the hours of the step (between)", "不在步骤允许的时段（between）"),
    "channel_paused": ("the channel is paused", "渠道暂停"),
    "paused": ("the journey is paused", "旅程已暂停"),
    "completed": ("all steps are done", "全部步骤走完"),
    "converted": ("she reached the goal", "达成目标"),
    "ended": ("the journey is over (ends_at)", "旅程活动期已结束（ends_at）"),
    "restarted": ("she entered anew, which ends this one (mode: restart)", "重新进入，这一次作废（mode: restart）"),
    "moved": ("a new release ended it", "新版本发布时结束"),
    "merged": ("two users became one, who was inside already", "并入另一用户，对方已在旅程中"),
    "given before": ("she has this already: it is given once", "之前已发过：只发一次"),
    "closed": ("nobody enters any more: the journey is not live", "旅程不是 live，不再有人进入"),
    "erased": ("her data were erased", "资料已按要求删除"),
    "where": ("the condition of the entry does not hold", "不合进入条件"),
    "reentry": ("she has been inside before, and may not enter again yet", "以前进入过，还不能再进"),
    "mode": ("she was inside already", "已在旅程中"),
    "holdout": ("she is in the project's hold-out", "在项目对照组"),
    "pace": ("the pace lets nobody more in", "已到进入速度的上限"),
    "timeout": ("no answer came in time", "超时没有结果"),
    "too_late": ("it came after the wait was over", "晚于等待的期限"),
    "arrived_late": ("it happened in time, and arrived after the wait was over", "发生得及时，但到达时等待已结束"),
    "too_early": ("it happened before the wait began", "早于等待的开始"),
    "missing": ("the value is missing", "值缺失"),
    "past": ("it has passed", "已经过去"),
    "failed": ("an error", "出错"),
    # what the delivery keeps with a message, in its own words
    "nobody can tell whether it arrived": ("nobody can tell whether it arrived", "无法得知是否收到"),
    "the sender died or was cut off": ("the sender died or was cut off", "发送进程中断"),
    "the channel is held": ("the channel is held", "渠道暂停中"),
    "the vendor issues no key": ("the vendor issues no key", "服务商没有给出幂等键"),
    "the daemon stopped": ("the daemon stopped", "守护进程停下了"),
    "undelivered": ("the vendor reports that it was not delivered", "服务商回执：未送达"),
}
FACTS: Texts = {
    "event": ("event {type}", "事件 {type}"), "segment": ("entered segment {segment}", "进入分群{segment}"),
    "existing": ("was in segment {segment} already", "已在分群{segment}"), "schedule": ("the schedule", "定时"),
    "date": ("her date", "日期到了"), "at": ("the appointed time", "定点"), "api": ("by call", "接口调用"),
}  # fmt: skip
CHANNELS: Texts = {
    "wechat": ("WeChat", "微信订阅消息"), "sms": ("SMS", "短信"), "push": ("push", "推送"), "wecom": ("WeCom", "企业微信消息"),
    "email": ("e-mail", "邮件"), "marketing": ("marketing", "营销"), "service": ("service", "服务"),
}  # fmt: skip
STATES: Texts = {
    "PENDING": ("waits to be sent", "待发"), "CLAIMED": ("is about to be sent", "即将发出"), "SENDING": ("is being sent", "正在发"),
    "ACCEPTED": ("the vendor has taken it", "服务商已收下"), "DELIVERED": ("delivered", "已送达"),
    "UNDELIVERED": ("not delivered", "未送达"), "REJECTED": ("refused", "被拒"),
    "UNKNOWN": ("nobody can tell yet whether it went out", "是否发出尚不明"),
    "ABANDONED": ("nobody will ever tell whether it went out; not repeated", "是否发出始终不明，不再重发"),
    "SUPPRESSED": ("not sent", "没有发"), "EXPIRED": ("not sent in time", "过期未发"),
    "RETRY": ("to be tried again", "稍后再试"), "PAUSED": ("the channel paused, to be tried again", "渠道暂停，稍后再试"),
}  # fmt: skip
KINDS: Texts = {
    "send": ("send", "发送"), "delay": ("delay", "等待"), "wait_for": ("wait", "等事件"), "branch": ("branch", "分支"),
    "split": ("split", "分组"), "grant": ("grant", "发权益"), "update": ("update", "改资料"), "call": ("call", "请求接口"),
    "goto": ("go to", "跳转"), "exit": ("exit", "退出"),
}  # fmt: skip
# who she is, chapters, where she stands: (English, Chinese)
STORY: Texts = {
    "found_by": ("{asked} ({by}) is {user}", "{asked}（{by}）就是 {user}"),
    "by_beginning": ("beginning of an id", "id 开头"),
    "shared": ("{asked} ({by}) belongs to several users; say which: {alike}", "{asked}（{by}）属于几个用户，请说明是哪个：{alike}"),
    "ambiguous": ("nobody has the id {asked}; do you mean {alike}?", "没有 id 为 {asked} 的用户；是不是 {alike}？"),
    "unknown": (
        "{asked} is neither a user (id, former id, phone, openid or other identity) nor a message (its key, a vendor's key or id)",
        "找不到 {asked}：不是用户 id、旧 id、手机号、openid 等身份，也不是消息或服务商的编号",
    ),
    "unknown_journey": ("there is no journey {journey}{hint}", "没有旅程 {journey}{hint}"),
    "not_applied": (
        "{journey} is a file that was never applied (a draft, or `journeyd apply` is still to come): nobody enters",
        "{journey} 只有文件，从没应用过（草稿，或还没 journeyd apply），没有人能进入",
    ),
    "hint": (", did you mean {near}?", "，是不是 {near}？"),
    "one_of": ("expected one journey: {first} and {second} were given", "只能写一个旅程，却写了 {first} 和 {second}"),
    "why_not_what": (
        "--why-not needs a user and a journey: journeyd explain u1 win_back_30d --why-not",
        "--why-not 需要用户和旅程：journeyd explain u1 win_back_30d --why-not",
    ),
    "only_messages": (
        "{asked} is a message; journey, --why-not and --since are for users",
        "{asked} 是一条消息；旅程、--why-not、--since 只用于用户",
    ),
    "bad_since": (
        "--since: expected a day or time such as 2026-12-01 or 2026-12-01T18:00, found {found}",
        "--since 要写日期或时间，如 2026-12-01 或 2026-12-01T18:00，现在是 {found}",
    ),
    "earlier": (
        "… {n} earlier lines are left out; --all shows them, --since DAY from a day on",
        "… 省略了较早的 {n} 行；--all 全部显示，--since 日期 从某天起",
    ),
    "never_in": (
        "she was never in {journey}; why not: {command}",
        "从没进入过 {journey}；原因请看：{command}",
    ),
    "entrants_none": ("nobody has entered {journey}", "还没有人进入 {journey}"),
    "entrants_more": ("… and {n} more of {of}; --all lists them", "……还有 {n} 人，共 {of}；--all 全部列出"),
    "entrants_entered": ("entered", "进入于"),
    "entrants_where": ("where now", "现在"),
    "entrants_got": ("got", "收到"),
    "entrants_message": ("{step} ({channel})", "{step}（{channel}）"),
    "entrants_benefit": ("{step} (benefit {channel})", "{step}（权益 {channel}）"),
    "entrants_missed": ("{step}: not sent, {reason}", "{step}：没有发，{reason}"),
    "entrants_state": ("{what}: {state}", "{what}：{state}"),
    "entrants_ended": ("ended: {reason}", "已结束：{reason}"),
    "entrants_at": ("at {step}", "在 {step}"),
    "entrants_until": (", until {until}", "，到 {until}"),
    "done_later": ("(done {at})", "（{at} 才做）"),
    "known_later": ("(known {at})", "（{at} 才得知）"),
    "nothing_since": ("nothing is kept for that time", "这段时间没有记录"),
    # who she is
    "who_stage": ("stage", "阶段"),
    "who_stops": ("marketing stopped", "营销暂停"),
    "who_segments": ("segments", "分群"),
    "in_by_edit": (
        " (by its definition since release {n})",
        "（按第 {n} 次发布改过的定义）",
    ),
    "out_by_edit": ("no longer {segment} (by its definition since release {n})", "不再是{segment}（按第 {n} 次发布改过的定义）"),
    "who_tags": ("tags", "标签"),
    "who_traits": ("traits", "特征"),
    "who_unfit": ("not of their type, missing in rules", "类型不符，规则里算缺失"),
    "who_reach": ("reach", "联系"),
    "who_caps": ("caps used", "频次"),
    "who_holdouts": ("hold-outs", "对照组"),
    "who_former": ("former ids", "旧 id"),
    "none": ("none", "无"),
    "and_more": ("{n} more", "另有 {n} 项"),
    "no_address": ("no address", "没有联系方式"),
    "says_yes": ("yes", "同意"),
    "says_no": ("no", "不同意"),
    "says_assumed": ("yes (assumed)", "默认可发"),
    "says_unasked": ("never asked", "没问过"),
    "says_stopped": ("stopped at this address", "该地址已退订"),
    "credits": ("{template} ×{n}", "{template} ×{n}"),
    "who_credits": ("subscriptions", "订阅次数"),
    "cap_use": ("{cap}: {used} used", "{cap}：已用 {used}"),
    "cap_frees": ("{cap}: full ({used}), free at {at}", "{cap}：已满（{used}），{at} 起可再发"),
    "is_out": ("{name}: held out ({place}% < {share}%)", "{name}：在对照组（{place}% < {share}%）"),
    "is_in": ("not held out of {names}", "不在 {names} 的对照组"),
    "the_project": ("the whole project", "整个项目"),
    "note_waiting": (
        "{n} events or records of hers are not worked on yet; what follows does not know them (is the daemon running?)",
        "还有 {n} 条事件或资料没有处理，以下不含这些（journeyd run 在运行吗？）",
    ),
    "note_aside": ("set aside {at}, {kind}: {reason} (journeyd quarantine)", "{at} 被隔离，{kind}：{reason}（见 journeyd quarantine）"),
    "note_unreadable": ("her {what} cannot be read: what needs it is left out", "她的 {what} 读不出来，相关内容略去"),
    "note_history": ("her history is being imported: nothing moves her before it is complete", "她的历史还在导入，导完之前不会有动作"),
    "note_bare": ("nothing more is known of her than this id", "除了这个 id，别的都不知道（可能已删除）"),
    "note_merged": ("{former} was merged into {user}: this is her story", "{former} 已并入 {user}，以下是 {user} 的经过"),
    # a chapter
    "about_her": ("About her", "她自己的事"),
    "version_now": ("v{number}", "v{number}"),
    "version_then": ("v{number}, which is not the current one", "v{number}（不是现在的版本）"),
    "version_gone": ("a version that is gone", "版本已不在"),
    "subject_is": ("for {subject}", "对象 {subject}"),
    "is_inside": ("inside", "进行中"),
    "in_hold_out": ("in the hold-out", "对照组中"),
    "by_rule": ("by {clause}", "按 {clause}"),
    "consent_to": ("{channel} {purpose}", "{channel}{purpose}"),
    "said_on": ("{what}, said on {at}", "{what}，说于 {at}"),
    "said_once": ("{what}, at a time that is not known", "{what}，说的时间不详"),
    "values_then": ("then {values}", "当时 {values}"),
    "entry_fields": ("with {fields}", "带着 {fields}"),
    "otherwise": ("otherwise (no case held)", "其余（前面的都不成立）"),
    "in_position": ("{channel}: {reason}", "{channel}：{reason}"),
    "passed_positions": ("not before it: {positions}", "前面的渠道不行：{positions}"),
    "cap_then": ("cap {cap}, used {touches}", "频次 {cap}，已用 {touches}"),
    "stop_then": ("marketing is stopped for her: {stop}", "对她的营销暂停中：{stop}"),
    "held_for": ("it would have had to wait: {reason}", "本要再等：{reason}"),
    "pace_then": ("pace {pace}", "进入速度 {pace}"),
    "inside_since": ("inside since {at}", "{at} 起就在里面"),
    "last_entry": ("last entered {at}", "上次进入 {at}"),
    "window_from": ("the window began {at}", "本轮始于 {at}"),
    "again_from": ("again from {at}", "{at} 起可再进"),
    "ends_at": ("it ended {at}", "旅程止于 {at}"),
    "problem_missing": ("{expression} has no value", "{expression} 没有值"),
    "problem_type": ("a value is of another type than the text expects", "有值的类型和文案要的不同"),
    "problem_too_long": ("the text is longer than 4,096 bytes", "文案超过 4096 字节"),
    "times_refused": ("{times} {times:time|times}; this is the last", "共 {times} 次，这是最近一次"),
    "for_another": ("to {to}", "发给 {to}"),
    "update_set": ("set {what}", "设 {what}"),
    "update_tags": ("tags {tags}", "标签 {tags}"),
    "not_kept": ("not kept", "没有保存"),
    "came_as_history": ("imported as history, it moved nobody", "作为历史导入，不引起动作"),
    "several": ("×{n}, last {at}", "×{n}，最近 {at}"),
    # where she stands
    "now_delay": ("Now: waits at {step} until {until}; then {follows}.", "现在：在 {step} 等到 {until}，然后 {follows}。"),
    "now_wait": ("Now: at {step}, waits for {for_} until {until}.", "现在：在 {step} 等 {for_}，最迟到 {until}。"),
    "now_if": ("if {on} comes: {follows}", "等到 {on}：{follows}"),
    "now_when": ("as soon as {on}: {follows}", "一旦 {on}：{follows}"),
    "now_else": ("else {follows}", "等不到：{follows}"),
    "now_held": (
        "Now: holds the message of {step} until {until}: {reason}; then it is asked again.",
        "现在：{step} 的消息暂缓到 {until}（{reason}），到时再判断。",
    ),
    "now_asked": (
        "Now: at {step}, waits for the result of {what}, until {until} at most.",
        "现在：在 {step} 等 {what} 的结果，最迟到 {until}。",
    ),
    "now_due": ("Now: stands before {step}, due {until}.", "现在：即将做 {step}（{until} 到点）。"),
    "now_held_out": (
        "Now: in the hold-out until {until}; she gets nothing and is measured.",
        "现在：在对照组到 {until}，什么也不发，只衡量。",
    ),
    "now_stuck": (
        "Now: stands at {step} without a timer: only an event can move her (journeyd doctor, journeyd quarantine).",
        "现在：停在 {step}，没有定时，只有事件能推动（看 journeyd doctor 和 journeyd quarantine）。",
    ),
    "now_gone": (
        "Now: at {step}, which her version does not have, or cannot be read any more.",
        "现在：在 {step}，但她的版本里没有这一步，或已读不出来。",
    ),
    "now_measuring": ("The goal {goal} still counts until {until}.", "目标 {goal} 到 {until} 前仍计入。"),
    "now_goal": ("The goal {goal} counts until {until}.", "目标 {goal} 计到 {until}。"),
    "now_exits": ("Ends early by {exits}.", "提前离开的条件：{exits}。"),
    "now_paused": (
        "The journey is paused since {since} ({author}: {reason}): no step is taken.",
        "旅程自 {since} 暂停（{author}：{reason}），不走步骤。",
    ),
    "then_end": ("the journey ends", "旅程结束"),
    "then_step": ("{step} ({kind})", "{step}（{kind}）"),
    "then_maybe": ("{step} if its condition holds then", "{step}（到时条件成立才做）"),
    "converted_at": ("converted {at}", "{at} 转化"),
}


class _Gaps(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def said(table: Texts, key: str, language: Language, /, **values: Any) -> str:
    """A text of one of the tables; the key itself where the table has none."""
    texts = table.get(key)
    return key if texts is None else phrase(texts[0 if language == "en" else 1], _Gaps(values))


def stage_name(stage: str, names: Mapping[str, str], language: Language) -> str:
    """A lifecycle stage with its name for people, where it has one of its own."""
    name = names.get(stage, "")
    return stage if name in ("", stage) else f"{name} {stage}" if language == "zh" else f"{stage} ({name})"


def reason_sentence(code: str, language: Language) -> str:
    """Why, as a sentence; the file's own reasons stand as they are."""
    return said(REASON_SENTENCES, code, language)
