"""What people read in the terminal, in Chinese and in English. Identifiers, logs and JSON stay English."""

from collections.abc import Mapping
from typing import Any, cast

from journeys.errors import Language
from journeys.phrasing import phrase
from runtime.simulatetexts import SIMULATED
from runtime.state import SYSTEM_ENDS

REASONS: dict[str, str] = {
    "no_consent": "没有同意", "unreachable": "联系不上", "no_credit": "没有订阅次数", "cap": "超过频次", "suppressed": "营销暂停",
    "expired": "过期", "late": "太迟", "cancelled": "已取消", "invalid_content": "文案缺内容", "budget": "预算用完", "held_out": "对照组",
    "quiet_hours": "勿扰时段", "between": "不在可发时段", "channel_paused": "渠道暂停", "completed": "走完", "converted": "已转化",
    "ended": "活动结束", "restarted": "重新开始", "moved": "旅程改版", "merged": "并入另一用户", "closed": "已关闭",
    "given before": "之前已发过",
    "where": "不合条件", "reentry": "还不能再进",
    "mode": "已在旅程中",
    "holdout": "项目对照组", "pace": "超过进入速度", "timeout": "超时", "too_late": "太晚",
    "arrived_late": "到得太晚", "too_early": "太早", "event": "事件",
    "segment": "分群", "schedule": "定时", "existing": "已在分群", "date": "日期", "at": "定点", "missing": "缺失", "past": "已过",
}  # fmt: skip

TYPES: dict[str, tuple[str, str]] = {
    "text": ("text", "文本"), "number": ("number", "数"), "boolean": ("boolean", "是非"), "time": ("time", "时间"),
    "time_of_day": ("time of day", "时刻"), "anniversary": ("anniversary", "纪念日"), "choice": ("choice of its list", "选项之一"),
    "list": ("list", "列表"), "object": ("object", "对象"), "phone": ("phone number", "电话号码"),
}  # fmt: skip

WORDS: dict[str, tuple[str, str]] = {
    **SIMULATED,
    "journey": ("journey", "旅程"),
    "entered": ("entered", "进入"),
    "stage": ("stage", "阶段"),
    "now": ("now", "现在"),
    "people": ("people", "人数"),
    "everybody_row": ("everybody", "合计"),
    "no_stage": ("no stage yet", "还没有阶段"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "by_missing": ("(missing)", "（没有值）"),
    "by_others": ("(others: {n} values)", "（其余 {n} 个值）"),
    "by_nobody": ("nobody is known yet", "还没有用户"),
    "by_unsure": (
        "{n} more have profiles that are still to be made anew after the release; the running daemon does it",
        "另有 {n} 人的画像要按新发布重算，守护进程运行时会完成",
    ),
    "by_no_trait_hint": ("--by: there is no trait {name}, did you mean {hint}?", "--by：没有特征 {name}，是不是 {hint}？"),
    "by_no_trait_known": ("--by: there is no trait {name}; there are {known}", "--by：没有特征 {name}；有 {known}"),
    "by_no_trait_none": (
        "--by: there is no trait {name}: no audience with traits is applied yet",
        "--by：没有特征 {name}：还没有发布过带特征的人群定义",
    ),
    "by_no_segment_hint": ("--segment: there is no segment {name}, did you mean {hint}?", "--segment：没有分群 {name}，是不是 {hint}？"),
    "by_no_segment_known": ("--segment: there is no segment {name}; there are {known}", "--segment：没有分群 {name}；有 {known}"),
    "by_no_segment_none": ("--segment: there is no segment {name}: there are none", "--segment：没有分群 {name}：一个也没有"),
    "by_no_groups": (
        "--by: {trait} is of type {kind}; groups are made by traits of type {kinds}",
        "--by：{trait} 的类型是 {kind}；能分组的特征类型是 {kinds}",
    ),
    "by_unsayable": ("the database cannot tell it of everybody at once: {why}", "数据库没法一次对所有人回答：{why}"),
    "month_ends": ("end of month", "月底"),
    "days_before": ("{days} days ago", "{days} 天前"),
    "unmapped": (
        "arrives under names that no rule sees (declare them, or map them in config):",
        "收到了规则用不到的名字（在 audience.yaml 声明，或在 config 里对应）：",
    ),
    "misfits": ("what came and does not fit, so that no rule sees it:", "收到了，但不合要求，规则当作没有："),
    "misfit": (
        "{name} is no {expected} (what came is {found}), {n} so far, the last on {at}",
        "{name} 应为{expected}，收到的是{found}，至今 {n} 次，最近 {at}",
    ),
    "characters": ("{beginning}… ({n} characters)", "{beginning}…（共 {n} 字）"),
    "characters_or_more": ("{beginning}… ({n} or more characters)", "{beginning}…（至少 {n} 字）"),
    "misfit_key": ("nothing reads {name}, {n} so far, the last on {at}", "{name} 没有谁读，至今 {n} 次，最近 {at}"),
    "misfit_key_hint": (
        "nothing reads {name}, did you mean {hint}? {n} so far, the last on {at}",
        "{name} 没有谁读，是不是 {hint}？至今 {n} 次，最近 {at}",
    ),
    "messages": ("messages", "消息"),
    "suppressed": ("suppressed", "没有发"),
    "converted": ("converted", "转化"),
    "holdout": ("hold-out", "对照组"),
    "inside": ("inside", "正在走"),
    "ended": ("ended", "结束"),
    "benefits": ("benefits", "权益"),
    "time": ("time", "时间"),
    "reason": ("reason", "原因"),
    "state": ("state", "状态"),
    "channel": ("channel", "渠道"),
    "story_of": ("The story of {user}", "{user} 的经过"),
    "unknown_user": ("nobody is known by the id {user}", "没有 id 为 {user} 的用户"),
    "checked": ("{files} {files:journey|journeys}, {tests} {tests:test|tests}: no findings", "{files} 个旅程、{tests} 条测试，没有问题"),
    "findings": ("{errors} {errors:error|errors}, {warnings} {warnings:warning|warnings}", "{errors} 个错误，{warnings} 个提醒"),
    "applied": ("release {id}: {changed} {changed:journey|journeys} changed{names}", "第 {id} 次发布：{changed} 个旅程有变化{names}"),
    "on_top_of": (
        "on top of release {id}, applied {at} by {author} “{message}”",
        "在第 {id} 次发布之上（{at}，{author}：“{message}”）",
    ),
    "unchanged": ("nothing changed since release {id}", "与第 {id} 次发布相同，没有变化"),
    "rebuild": ("profiles", "用户画像"),
    "differs": ("{user}: {what} are not what the events say", "{user}：{what} 与事件不符"),
    "history_of": ("the history of {event}", "{event} 的历史"),
    "unreadable": ("{user}: the profile cannot be read; it was left as it is", "{user}：画像读不出来，没有改动"),
    "rebuilt": (
        "{users} profiles: {differing} differed from their events and were made anew, {renewed} were brought to this release",
        "{users} 份画像：{differing} 份与事件不符，已重建；{renewed} 份按当前发布重算",
    ),
    "compared": (
        "{users} profiles: {differing} differ from their events, {renewed} still wait for this release",
        "{users} 份画像：{differing} 份与事件不符；{renewed} 份还没按当前发布重算",
    ),
    "go_on": ("stopped; go on with: {command}", "停下了；接着做：{command}"),
    "journey_pauses": ("{journey} is paused since {since} by {author} “{reason}”", "{journey} 自 {since} 起暂停（{author}：“{reason}”）"),
    "moves_left": ("{journey}: {n} {n:person is|people are} still to be moved", "{journey}：还有 {n} 人没迁移"),
    "whose_story": (
        "whose story? a user or a message; or --journey JOURNEY for those who entered it",
        "要看谁的经过？写用户或消息；或用 --journey 旅程 看谁进来过",
    ),
    "queue_left": (
        "{journey}: of those inside since it went live ({since}) {n} {n:is|are} still to come in (existing: enrol)",
        "{journey}：上线时（{since}）已在分群的人还有 {n} 人没进（existing: enrol）",
    ),
    "queue_next": ("; the pace lets the next in from {at}", "；按进入速度，{at} 起再进"),
    "queue_unknown": (
        "{journey}: how many of those inside since it went live ({since}) are still to come in is known when profiles have been made anew",
        "{journey}：上线时（{since}）已在分群的人还有多少没进，要等档案重算完才知道",
    ),
    "queue_stands": (
        (
            "{journey}: nobody more of those who were inside when it went live ({since}) comes in: what its segment reads was defined "
            "otherwise since, so that nobody can tell who they were; taking that edit back lets the rest come in"
        ),
        "{journey}：上线时（{since}）已在分群的人不再进入：分群读取的定义之后改了，已看不出当时谁在里面；改回原来的定义，其余的人会继续进入",
    ),
    "moving": ("moving those inside", "迁移旅程里的人"),
    "plan_same": ("nothing to apply: release {release} holds just this", "没有要应用的：与第 {release} 次发布相同"),
    "plan_first": ("nothing is applied yet; this would be the first release", "还没有应用过；这将是第 1 次发布"),
    "plan_on": ("on top of release {release}, applied by {author} “{message}”", "在第 {release} 次发布之上（{author}：“{message}”）"),
    "plan_new": ("{journey}: new", "{journey}：新旅程"),
    "plan_changed": ("{journey}: changed (v{version} runs now)", "{journey}：有变化（现在运行 v{version}）"),
    "plan_gone": ("{journey}: gone; nobody enters any more", "{journey}：文件没有了，不再有人进入"),
    "plan_wording": (
        "{n} {n:journey differs|journeys differ} in comments or layout only, those inside stay on their version: {journeys}",
        "{n} 个旅程只有注释或排版不同，里面的人留在原版：{journeys}",
    ),
    "plan_older": (
        "unchanged, with people on other versions: {journeys}; --in-flight JOURNEY=move would take them along",
        "没有变化、但有人在别的版本：{journeys}；--in-flight 旅程=move 可以迁过来",
    ),
    "plan_too_short": (
        "{event}: looked back on for {asked}, but kept for {kept} until now ([intake] keep_events): what has gone is not counted",
        "{event}：要往回看 {asked}，到现在只留了 {kept}（[intake] keep_events）：已经删掉的不会算进去",
    ),
    "for_ever": ("ever", "全部"),
    "plan_refused": (
        "apply will refuse these files: {n} of their tests {n:fails|fail} (`journeyd check` shows them; --no-tests insists)",
        "apply 会拒绝这些文件：{n} 条测试没有通过（见 journeyd check；--no-tests 可强行应用）",
    ),
    "nothing_applied": ("nothing was applied", "没有应用"),
    "inside_done": (
        "{journey}: {moved} moved, {ended} ended, {stay} {stay:stays on her|stay on their} version",
        "{journey}：迁移 {moved} 人，结束 {ended} 人，{stay} 人留在原版",
    ),
    "inside_stay": ("{journey}: {n} {n:stays on her|stay on their} version", "{journey}：{n} 人留在原版"),
    "take_along": ("to take those along who stay: {command}", "要把留在原版的人也迁过来：{command}"),
    "inside_going": (
        "{journey}: {n} {n:person is|people are} inside older versions, and moved or ended now; `journeyd status` says how many are left",
        "{journey}：{n} 人在旧版中，正在迁移或结束；journeyd status 会显示还剩多少",
    ),
    "files_stay": (
        (
            "the files are as they were, and the next apply would bring back what they say; to take the files of release {number} in their"
            " place: {command}"
        ),
        "文件没有改动，下次 apply 会回到文件的内容；要把文件也换成第 {number} 次发布的：{command}",
    ),
    "files_differ": (
        "{folder} has other files under these names: {files}; --overwrite replaces them (nothing was written)",
        "{folder} 里这些文件内容不同：{files}；--overwrite 才会覆盖（没有写入）",
    ),
    "files_written": ("{n} {n:file|files} of release {number} written to {folder}", "已把第 {number} 次发布的 {n} 个文件写到 {folder}"),
    "files_besides": (
        "not in release {number}, and left as they are: {files}; the next apply publishes them too: delete them where they are not wanted",
        "第 {number} 次发布里没有、原样保留的：{files}；下一次应用也会发布它们，不要的请删掉",
    ),
    "status_none": (
        "no release is applied yet; `journeyd apply` or `journeyd run` makes the first",
        "还没有发布过；journeyd apply 或 journeyd run 会做第 1 次发布",
    ),
    "status_release": ("release {id}, {at}, by {author}: {n} {n:journey|journeys}", "第 {id} 次发布，{at}，{author}：{n} 个旅程"),
    "total_users": ("users", "用户"),
    "total_events": ("events", "事件"),
    "total_inbox": ("inbox", "待处理"),
    "total_quarantine": ("quarantine", "隔离"),
    "due_lag": ("due lag {lag}", "到点未办 {lag}"),
    "kind_message": ("message", "消息"),
    "kind_grant": ("grant", "权益"),
    "kind_call": ("call", "接口"),
    "set_aside": ("set aside, see `journeyd quarantine`:", "已隔离（见 `journeyd quarantine`）："),
    "set_aside_why": ("{what}: {reason} ({n}, the last on {at})", "{what}：{reason}（{n} 条，最近 {at}）"),
    "last_arrival": ("last arrival", "最近到达"),
    "today": ("today", "今天"),
    "lately": ("7 days", "7 天"),
    "known_already": ("twice", "重复"),
    "aside": ("set aside", "隔离"),
    "refused_signatures": ("signatures refused", "拒签"),
    "never_came": ("never", "从未"),
    "nobodys": ("(nobody's)", "（来源不明）"),
    "not_in_config": ("not in config", "已不在 config"),
    "signature_missing": ("none", "没有签名"),
    "signature_wrong": ("wrong", "不符"),
    "signature_time": ("clock", "时钟不对"),
    "plan_left": ("{journey}: unchanged", "{journey}：没有变化"),
    "plan_enter": ("{n} are in its segment now and would enter (existing: enrol)", "分群里现有 {n} 人，将进入（existing: enrol）"),
    "plan_enter_unknown": (
        "those in its segment now would enter (existing: enrol); how many is known when their profiles have been made anew",
        "分群里现有的人将进入（existing: enrol）；有多少，要等他们的档案按新定义重算后才知道",
    ),
    "plan_queue": ("{n} in the queue of existing: enrol have not come in yet", "existing: enrol 的队列里还有 {n} 人没进"),
    "plan_queue_unknown": (
        "an unknown number in the queue of existing: enrol have not come in yet",
        "existing: enrol 的队列里还有人没进，人数未知",
    ),
    "plan_queue_enter": ("{n} of them still would", "其中 {n} 人仍会进入"),
    "plan_queue_enter_unknown": (
        "how many of them still would is known when their profiles have been made anew",
        "其中多少人仍会进入，要等他们的档案按新定义重算后才知道",
    ),
    "plan_queue_over": ("they will not", "他们不再进入"),
    "plan_queue_stands": (
        (
            "they will not: what the segment reads is defined otherwise, and nobody can tell any more who was in it when the journey went "
            "live; taking the edit back lets them come in"
        ),
        "他们不再进入：分群读取的定义改了，已看不出上线时谁在里面；改回原来的定义，他们会继续进入",
    ),
    "meaning": ("{key}: {told}", "{key}：{told}"),
    "meaning_and": ("; ", "；"),
    "meaning_people": (
        "{comes} come in and {leaves} leave by the edit, as nobody's edge",
        "{comes} 人因修改进入，{leaves} 人因修改离开，都不算进出",
    ),
    "meaning_unknown": (
        "how many come in or leave is known when profiles have been made anew",
        "多少人进入或离开，要等档案按新定义重算后才知道",
    ),
    "meaning_lets_in": ("lets in: {journeys}", "按它进入的：{journeys}"),
    "meaning_read_by": ("read by: {journeys}", "条件里读它的：{journeys}"),
    "meaning_gone": (
        "{n} {n:person has|people have} a value of it that no rule sees any more; under another name it begins without values",
        "现有 {n} 人有它的值，以后没有规则看得到；换了名字的特征从没有值开始",
    ),
    "meaning_retyped": (
        "{n} {n:person has|people have} a value of it, which counts as missing where it does not fit the new type",
        "现有 {n} 人有它的值，不合新类型的在规则里算缺失",
    ),
    "meaning_unread": ("no journey reads it", "没有旅程读它"),
    "plan_inside": ("inside: {n}", "旅程里：{n} 人"),
    "plan_nobody": ("nobody is inside", "旅程里没有人"),
    "in_holdout": ("the hold-out", "对照组"),
    "plan_step": ("{n} at {step} (v{version})", "{n} 人在 {step}（v{version}）"),
    "plan_keep": ("stay on v{version}", "留在 v{version}"),
    "plan_exit": ("end (moved), what is planned is cancelled", "结束（moved），未发的取消"),
    "plan_move": ("move: {fates}", "迁移：{fates}"),
    "plan_could_move": ("would move with --in-flight {journey}=move: {fates}", "若 --in-flight {journey}=move：{fates}"),
    "plan_again": (
        "{steps} comes after {to} now: whoever had it does not get it again",
        "{steps} 现在排在 {to} 之后：收到过的人不会再收到",
    ),
    "fate_moves": ("{n} {n:goes|go} on at {to}", "{n} 人到 {to} 继续"),
    "fate_overdue": (
        "{n} would be over {to} at once ({lateness})",
        "{n} 人在 {to} 立刻到点（{lateness}）",
    ),
    "fate_nowhere": ("{n} have nowhere to go and stay: the step is gone", "{n} 人无处可去，留在原版：步骤没有了"),
    "fate_effect_open": ("{n} stay: a grant or call is under way", "{n} 人留在原版：有权益或接口还没结果"),
    "fate_stays": ("{n} stay", "{n} 人留下"),
    "fate_ends": ("{n} end at once: its ends_at is past", "{n} 人立刻结束：ends_at 已过"),
    "fate_window_over": ("{n} leave the hold-out at once: their window is over", "{n} 人立刻离开对照组：窗口已过"),
    "fate_unknown": ("{n} cannot be foreseen", "{n} 人无法预知"),
    "late_goes_on": ("{n} {n:goes|go} on at once{late_by}", "{n} 人马上继续{late_by}"),
    "late_and": ("{first}; {second}", "{first}；{second}"),
    "late_by": (", up to {late} late", "，最多迟 {late}"),
    "late_skip": ("{n} later than {limit} and skipped", "{n} 人迟过 {limit}，跳过这一步"),
    "late_exit": ("{n} later than {limit}, for whom the journey ends", "{n} 人迟过 {limit}，退出旅程"),
    "late_any": ("no max_lateness", "没有 max_lateness"),
    "plan_about": ("about", "约"),
    "plan_paused": (
        (
            "paused since {since} by {author} “{reason}”: {due} {due:timer or message|timers and messages} became due, "
            "{late} of them later than max_lateness allows"
        ),
        "{since} 起暂停（{author}：“{reason}”）：{due} 个定时或消息到点，其中 {late} 个超过 max_lateness",
    ),
    "plan_audience": ("audience.yaml", "audience.yaml"),
    "plan_apply": ('to apply exactly this: {command} -m "…"', '照此应用：{command} -m "…"'),
    "change_setting": ("{key}: {before} → {after}", "{key}：{before} → {after}"),
    "change_step": ("step {step}, {key}: {before} → {after}", "步骤 {step}，{key}：{before} → {after}"),
    "change_step_added": ("step {step} ({after}) is new", "新步骤 {step}（{after}）"),
    "change_step_removed": ("step {step} ({before}) is gone", "步骤 {step}（{before}）没有了"),
    "change_step_renamed": ("step {before} is called {step} now", "步骤 {before} 改名为 {step}"),
    "change_step_looks_renamed": (
        "step {step} says what {before} said: if it was renamed, write `was: {before}` there, and those inside go along",
        "步骤 {step} 与原来的 {before} 一样：如果是改名，请在那里写 was: {before}，里面的人才会跟过去",
    ),
    "change_step_was_nobody": (
        "step {step} says was: {before}, but the applied version has no step {before}: it is a new step, and takes nobody along",
        "步骤 {step} 写了 was: {before}，但线上版本没有步骤 {before}：它算新步骤，不会带任何人过来",
    ),
    "change_step_kind": ("step {step} was {before} and is {after}", "步骤 {step} 从 {before} 变为 {after}"),
    "change_step_moved": ("step {step} stands elsewhere", "步骤 {step} 换了位置"),
    "change_tests": ("its tests: {before} → {after}", "测试：{before} → {after}"),
    "change_tests_only": ("{after} of its {before} tests {after:says|say} something else", "{before} 条测试里有 {after} 条改动"),
    "change_wording_only": ("only comments or layout", "只有注释或排版"),
    "unwritten": ("(not written)", "（未写）"),
    "release_line": (
        "release {id}  {at}  {author}  {journeys} journeys  {message}",
        "第 {id} 次发布  {at}  {author}  {journeys} 个旅程  {message}",
    ),
    "in_flight_form": (
        "--in-flight: expected JOURNEY=keep|move|exit or JOURNEY.STEP=keep|move|exit, found {text}",
        "--in-flight：应写 旅程=keep|move|exit 或 旅程.步骤=keep|move|exit，写的是 {text}",
    ),
    "in_flight_journey": ("--in-flight: there is no journey {name}", "--in-flight：没有旅程 {name}"),
    "in_flight_journey_near": (
        "--in-flight: there is no journey {name}, did you mean {hint}?",
        "--in-flight：没有旅程 {name}，是不是 {hint}？",
    ),
    "in_flight_step": ("--in-flight: nobody in {journey} stands at a step {name}", "--in-flight：{journey} 里没有人在步骤 {name}"),
    "in_flight_step_near": (
        "--in-flight: nobody in {journey} stands at a step {name}, did you mean {hint}?",
        "--in-flight：{journey} 里没有人在步骤 {name}，是不是 {hint}？",
    ),
    "in_flight_done": (
        (
            "--in-flight: everybody in {journey} is on the version that these files have already: there is nobody to decide for; "
            "leave {journey} out"
        ),
        "--in-flight：{journey} 里的人都已经在这些文件的版本上，没有人要处理；请去掉 {journey}",
    ),
    "in_flight_to_end": (
        (
            "--in-flight: everybody in {journey} is on the version that these files have, and stays there; to end them, "
            "write `status: closed` into {journey}.yaml and apply that with --in-flight {journey}=exit"
        ),
        (
            "--in-flight：{journey} 里的人都在这些文件的版本上，会留下；要让他们结束，"
            "请在 {journey}.yaml 写 status: closed，再用 --in-flight {journey}=exit 应用"
        ),
    ),
    "plan_is_old": (
        "nothing was applied: files or release are others than plan {plan} was made for; look at `journeyd plan` again (now {now})",
        "没有应用：文件或发布与计划 {plan} 对应的已不同；请再看 journeyd plan（现在是 {now}）",
    ),
    "plan_overtaken": (
        "nothing was applied: since plan {plan} was made, {author} applied release {release} “{message}”; look at `journeyd plan` again",
        "没有应用：做计划 {plan} 之后，{author} 应用了第 {release} 次发布“{message}”；请再看 journeyd plan",
    ),
    "overtaken": (
        "nothing was applied: meanwhile {author} applied release {release} “{message}”; look at `journeyd plan` and apply again",
        "没有应用：{author} 刚刚做了第 {release} 次发布（“{message}”）；请看 journeyd plan 再应用",
    ),
    "moves_under_way": (
        (
            "nothing was applied: release {release} has {n} {n:person|people} still to move ({journeys}); "
            "`journeyd run` does it, apply again then"
        ),
        "没有应用：第 {release} 次发布还有 {n} 人没迁移完（{journeys}）；journeyd run 会迁移，之后再应用",
    ),
    "no_release": ("there is no release {number}; `journeyd releases` lists them", "没有第 {number} 次发布；journeyd releases 列出全部"),
    "paused": (
        "{journey} is paused: no timer fires, nothing is sent; {due} {due:timer or message is|timers and messages are} due already",
        "{journey} 已暂停：不走步骤，不发消息；已有 {due} 个定时或消息到点",
    ),
    "paused_already": ("{journey} is paused already", "{journey} 本来就暂停着"),
    "not_paused": ("{journey} is not paused", "{journey} 没有暂停"),
    "resumed": (
        "{journey} goes on: {due} became due meanwhile, {late} of them are later than its max_lateness allows",
        "{journey} 继续：暂停期间 {due} 个到点，其中 {late} 个已超过 max_lateness",
    ),
    "pause_what": (
        'expected a journey, or --all: journeyd pause win_back_30d -m "wrong coupon"',
        '请写旅程名或 --all：journeyd pause win_back_30d -m "券发错了"',
    ),
    "town": ("A town lives {days} {days:day|days}", "小镇的 {days} 天"),
    "demo_with": (
        "the town lives with the {n} {n:journey|journeys} of this project ({folder})",
        "小镇用的是本项目的 {n} 个旅程（{folder}）",
    ),
    "demo_shipped": (
        "the town lives with the {n} journeys that come with journeyd: there is no {file}",
        "小镇用的是 journeyd 自带的 {n} 个旅程：没有 {file}",
    ),
    "demo_vendors": (
        "the town lives with the {n} journeys that come with journeyd: the vendors' stand-ins know their templates and coupons only",
        "小镇用的是 journeyd 自带的 {n} 个旅程：模拟的服务商只认得它们的模板和券",
    ),
    "demo_own": (
        "{database} is the project's own database, and a demo begins with an empty one: name another, or remove it if that is meant",
        "{database} 是项目自己的数据库，而 demo 从空库开始：请另写一个；确实不要了就先删掉它",
    ),
    "demo_errors": (
        "{folder}: {n} {n:error|errors}, nothing can run with these files; `journeyd check` shows all, the first: {first}",
        "{folder}：有 {n} 处错误，不能运行；journeyd check 列出全部，第一处：{first}",
    ),
    "gone_now": ("{journey} (gone)", "{journey}（文件已没有）"),
    "converted_means": (
        "converted: whoever reached the goal in its time, the hold-out and those who had left too; under “ended”: who left by it",
        "转化：在目标期内达成的所有人，也算已离开的和对照组；“结束”一列的“已转化”只是因此离开的人",
    ),
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
    "not_known": ("not known", "未知"),
    "rows_so_far": ("{file}: {rows} rows so far ({share} of the file)", "{file}：已读 {rows} 行（文件的 {share}）"),
    "wait_for_daemon": (
        "{n} {n:row waits|rows wait} in the inbox: profiles know them once a daemon (`journeyd run`) has worked them off",
        "收件箱里有 {n} 条在等：守护进程（`journeyd run`）处理之后，画像才知道它们",
    ),
    "import_resumed": ("{file}: goes on after row {rows}, where it was interrupted", "{file}：上次中断在第 {rows} 行之后，接着导"),
    "import_stopped": (
        "{file}: stopped after row {rows}; the same command goes on from there",
        "{file}：停在第 {rows} 行之后；再执行同一条命令就接着导",
    ),
    "known_before": (
        "{file}: {n} known before from this source: these stay as they were kept first, also where a row says something else now",
        "{file}：{n} 条此前已从这个来源收到：保持最初收下的内容，即使现在这一行写得不同",
    ),
    "known_users": (
        "{file}: {n} known before: they say what an import from this source said last of the same people, or bear an id that is known",
        "{file}：{n} 条此前已收到：内容和这个来源上一次导入这些人时一样，或者编号已收过",
    ),
    "known_elsewhere": (
        (
            "{file}: {n} of its first events {n:has|have} come from source {source} already and would count twice; nothing was taken.\n"
            "--source {source} knows them again; --source {own} takes them as others"
        ),
        (
            "{file}：开头有 {n} 条事件已从来源 {source} 收到，再导会算两次；什么也没导。\n"
            "--source {source} 能认出它们，--source {own} 当作另外的事件"
        ),
    ),
    "rejected_rows": ("rows that were not taken: {file}", "没有收下的行：{file}"),
    "retried": ("{taken} taken, {left} left", "收下 {taken} 条，留下 {left} 条"),
    "dropped": ("{n} dropped", "丢弃 {n} 条"),
    "kept_aside": (
        'kept since {since}: what was set aside before is deleted ([intake] keep_quarantine = "{keep}"), but not enrolment and recheck',
        '只留 {since} 以来的：更早隔离的会删除（[intake] keep_quarantine = "{keep}"），enrolment 和 recheck 两种除外',
    ),
    "nothing_aside": ("nothing is set aside", "没有隔离的记录"),
    "nothing_fits": ("nothing that is set aside matches {what}", "隔离的记录里没有符合 {what} 的"),
    "fits_hint": ("; {option}: did you mean {hint}?", "；{option}：是不是 {hint}？"),
    "fits_known": ("; {option}: there are {known}", "；{option}：有 {known}"),
    "not_aside": (
        "{ids}: nothing is set aside under this number (any more): taken, dropped, or never there",
        "{ids}：没有这个编号的隔离记录（已收下、已丢弃，或从来没有）",
    ),
    "older_config": (
        "this was judged by config as it is now; the running daemon takes what arrives by an older one: restart it",
        "以上按现在的 config 判断；正在运行的守护进程还在用旧的 config 接收，请重启它",
    ),
    "settled_aside": (
        "settled by now, `journeyd quarantine drop {id}`: {reason}",
        "已经解决，可以 `journeyd quarantine drop {id}`：{reason}",
    ),
    "identity_cure": (
        (
            "what settles an identity of two users: a user record that takes it from the one who has it"
            ' ("identities": {{"openid": null}}), or one with "merge": ["the other id"] from a signed source with may_assert identity_merge'
        ),
        (
            '两个用户争一个身份，这样解决：发一条用户记录，把它从现在有它的人那里拿走（"identities": {{"openid": null}}），'
            '或由有 may_assert identity_merge 的签名来源发 "merge": ["另一个 id"]'
        ),
    ),
    # check: tests, coverage, watch, record
    "test_from": ("test “{test}”, from {start}:", "测试“{test}”，从 {start} 开始："),
    "test_legend": ("- expected, + got", "- 应有，+ 实有"),
    "not_entered": ("the user never entered: {reason}", "没有进入旅程：{reason}"),
    "coverage": (
        "{journey}: {visited} of {all} steps and outcomes visited by {tests} {tests:test|tests}",
        "{journey}：{tests} 条测试走到 {visited} / {all} 处",
    ),
    "coverage_none": ("{journey}: no tests", "{journey}：没有测试"),
    "coverage_not_run": (
        "{journey}: no tests were run, since the file or audience.yaml has errors",
        "{journey}：文件或 audience.yaml 有错误，没有跑测试",
    ),
    "never_visited": ("{step} is never reached", "没有走到 {step}"),
    "missed_case": ("{step}: no test takes branch {name}", "{step}：没有测试走分支 {name}"),
    "missed_otherwise": ("{step}: no test takes otherwise", "{step}：没有测试走 otherwise"),
    "missed_variant": ("{step}: no test draws {name}", "{step}：没有测试抽到 {name}"),
    "missed_event": ("{step}: in no test comes what it waits for (number {name})", "{step}：没有测试等到它等的事件（第 {name} 个）"),
    "missed_timeout": ("{step}: in no test does its time run out", "{step}：没有测试等到超时"),
    "missed_failed": ("{step}: in no test does it fail", "{step}：没有测试让它失败"),
    "missed_channel": ("{step}: no test sends it by {name}", "{step}：没有测试用 {name} 发它"),
    "test_count": ("tests: {done} of {all} files", "测试：{done} / {all} 个文件"),
    "watching": ("watching {folder}; Ctrl-C ends", "正在看着 {folder}；按 Ctrl-C 结束"),
    "watched": (
        "{errors} {errors:error|errors}, {warnings} {warnings:warning|warnings}, {tests} {tests:test|tests}; looked at: {files}",
        "{errors} 个错误，{warnings} 个提醒，{tests} 条测试；重看了：{files}",
    ),
    "recorded": ("{place}: wrote the test “{test}”, which passes", "{place}：已写入测试“{test}”，并已通过"),
    "recorded_anyway": (
        "{place}: wrote the test “{test}” as the story was; it does not pass yet",
        "{place}：已按经过写入测试“{test}”，现在还没通过",
    ),
    "not_recorded": (
        (
            "nothing was written: the test cannot reproduce the story (it knows no other journeys and caps, no vendor's refusals, nobody"
            " else's events); --force writes it as it was, to be mended by hand"
        ),
        "没有写入：测试重现不了这段经过。其他旅程和它们占用的频次、别人的事件、服务商的拒收都不在测试里；加 --force 仍写入，再手工修改",
    ),
    "mended": ("mended: {line}", "已修好：{line}"),
    "made": ("made {folder}: next, {commands}", "已建好 {folder}，接着：{commands}"),
    "vendor": ("vendor", "服务商"),
    "requests": ("requests", "请求"),
    "taken": ("taken", "已收下"),
    "vendor_refused": ("refused", "被拒"),
    "vendor_unknown": ("unknown, and what settled it", "结果一度不明，怎样确认"),
    # graph
    "graph_name": ("name", "名称"),
    "graph_entry": ("entry", "进入"),
    "graph_steps": ("steps", "步数"),
    "graph_paused": ("paused", "已暂停"),
    "graph_errors": ("{n} {n:error|errors} in its file; see `journeyd check`", "文件里有 {n} 个错误，见 `journeyd check`"),
    "graph_unknown": ("there is no journey {journey}; `journeyd graph` lists them", "没有旅程 {journey}；`journeyd graph` 列出全部"),
    "graph_hint": (", did you mean {hint}?", "，是不是 {hint}？"),
    "graph_not_applied": (
        "release {release}, which runs, has no journey {journey}; without --applied the file is drawn",
        "正在运行的第 {release} 次发布里没有旅程 {journey}；不写 --applied 就画文件",
    ),
    "graph_no_release": (
        "nothing is applied yet; `journeyd apply` or `journeyd run` makes the first release, without --applied the file is drawn",
        "还没有发布过；`journeyd apply` 或 `journeyd run` 做第 1 次发布，不写 --applied 就画文件",
    ),
    "graph_broken": (
        "{journey} of release {release} does not compile any more, so it cannot be drawn: {why}",
        "第 {release} 次发布的 {journey} 已不能编译，画不出来：{why}",
    ),
    "graph_wrong": ("{journey} cannot be drawn: its file has errors", "{journey} 的文件有错误，画不出来："),
    "graph_more_findings": ("and {n} more; `journeyd check` shows all", "还有 {n} 个，`journeyd check` 全部列出"),
    "graph_no_counts": ("drawn without numbers: {why}", "没有数字：{why}"),
    "audit": (
        "Ledger and vendors, {compared} messages: not at the vendor {missing}, denied by the ledger {contradicted}, taken twice {twice}",
        "账本与服务商核对 {compared} 条：服务商没有的 {missing} 条，账本否认的 {contradicted} 条，重复收下的 {twice} 条",
    ),
}


def language_of(environment: Mapping[str, str]) -> Language:
    """The language of texts for people, where there is no config that says it: JOURNEYD_LANGUAGE, else the locale's."""
    if (asked := environment.get("JOURNEYD_LANGUAGE")) in ("zh", "en"):
        return cast("Language", asked)
    locale = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    return "zh" if locale.lower().startswith("zh") else "en"


def word(key: str, language: Language, /, **values: Any) -> str:
    """A word or sentence of the terminal."""
    return phrase(WORDS[key][0 if language == "en" else 1], values)


def reason(code: str, language: Language) -> str:
    """A reason for people; the file's own reasons stand as they are."""
    return REASONS.get(code, code) if language == "zh" else code


def ends_of(counts: Mapping[str, int], language: Language) -> dict[str, int]:
    """How many ended by what: the system's own reasons in words, the file's as it says them."""
    said: dict[str, int] = {}
    for name, n in counts.items():
        told = reason(name, language) if name in SYSTEM_ENDS else name
        said[told] = said.get(told, 0) + n
    return said
