"""Of the steps as a flow, and of the time that they take."""

from collections.abc import Mapping

from journeys.codes.code import Code

CODES: Mapping[str, Code] = {
    "J070": Code(
        "error",
        ("two steps have the id {found} (the other on line {first})", "步骤 id {found} 重复（第 {first} 行已有）"),
        why=(
            "The id is the step's name in statistics, results and edits; two with one id would mix.",
            "统计、结果和改版都认步骤 id，重复了会混在一起。",
        ),
        cure=("Give one of them another id.", "给其中一个换 id。"),
    ),
    "J071": Code(
        "error",
        ("step {found} can never be reached", "步骤 {found} 永远走不到"),
        why=("What stands there would never happen, although the file says it.", "文件写了，却永远不会发生。"),
        cure=(
            "Look at the exit or goto before it; put the step where the flow passes.",
            "看看前面的 exit 或 goto；把步骤放到走得到的地方。",
        ),
    ),
    "J072": Code(
        "error",
        ("a loop without a wait: {circle}; put a delay or wait_for into it", "循环里没有等待：{circle}；请放一个 delay 或 wait_for"),
        why=(
            "The loop would run at once as often as max_visits allows: the same message several times in a second.",
            "循环会立刻转到 max_visits 为止：一秒内连发几条。",
        ),
        cure=("Put a delay or a wait_for into the loop.", "在循环里放一个 delay 或 wait_for。"),
    ),
    "J073": Code(
        "error",
        ("the jump back to {found} needs max_visits", "往回跳到 {found} 要写 max_visits"),
        why=("A jump back without an end would message people for ever.", "往回跳没有次数，会没完没了地发。"),
        cure=("Say how often: max_visits: 3.", "写上次数：max_visits: 3。"),
    ),
    "J074": Code(
        "error",
        ("max_visits is only for a jump back; {found} comes later", "max_visits 只用于往回跳；{found} 在后面"),
        why=("A jump forward happens once in any case.", "往后跳本来就只发生一次。"),
        cure=("Delete max_visits, or name an earlier step.", "删掉 max_visits，或改成前面的步骤。"),
    ),
    "J075": Code(
        "error",
        ("a step of kind {found} needs an id", "{found} 步骤要有 id"),
        why=(
            "The id carries people over edits of the file; without it they cannot stay where they are.",
            "改文件时靠 id 让人留在原处，没有 id 就留不住。",
        ),
        cure=("Add id: with a name that is unique in this file.", "加上 id:，在本文件里不重复。"),
    ),
    "J076": Code(
        "error",
        ("was: {found} is a step of this file; it can only name a former one", "was: {found} 还在本文件里，只能写旧的 id"),
        why=(
            "was: moves people from a former id to a new one; a step that still exists keeps its own.",
            "was: 把旧 id 上的人移到新 id，步骤还在就不用移。",
        ),
        cure=("Delete was:, or name the id that the step had before.", "删掉 was:，或写这个步骤以前的 id。"),
    ),
    "J077": Code(
        "warning",
        ("this case never comes: the one on line {line} takes every {found}", "这种情况轮不到：第 {line} 行的已经拿走所有 {found}"),
        why=("Of several awaited events the first case that fits is taken.", "等待几种事件时，取第一个合适的。"),
        cure=("Put the case with where before the one without.", "把带 where 的写在不带的前面。"),
    ),
    "J078": Code(
        "warning",
        (
            "what follows {found} here never happens: {by} on line {line} ends the journey at that event first",
            "这里等到 {found} 之后的步骤不会发生：第 {line} 行的 {by} 会先因它结束旅程",
        ),
        why=("On one event goals come first, then exit_when, then waits.", "同一个事件先看 goal，再看 exit_when，最后才看等待。"),
        cure=("Delete what follows, or let the goal go on: then: go_on.", "删掉后面的步骤，或让目标达成后继续：then: go_on。"),
    ),
    "J130": Code(
        "warning",
        (
            "step {found} comes too late for the benefit of {grant}: it lives {lives}, and the shortest way there takes {takes}",
            "步骤 {found} 到得太晚：{grant} 的权益只有 {lives}，最快也要 {takes} 才走到",
        ),
        why=(
            "The user would be told of something that is gone; with expires: nothing is sent at all.",
            "会提醒用户一张已经失效的券；写了 expires: 就干脆不发。",
        ),
        cure=(
            "Shorten the delays, let the benefit live longer, or wait until: steps.X.expires_at, offset: -1d.",
            "缩短等待，延长有效期，或用 until: steps.X.expires_at、offset: -1d。",
        ),
    ),
    "J131": Code(
        "warning",
        (
            "when this wait of {timeout} ends, the benefit of {grant} ({lives}) is gone, and step {found} still speaks of it",
            "这一步等满 {timeout} 后，{grant} 的权益（{lives}）已失效，步骤 {found} 却还在提它",
        ),
        why=("Who does not come in time is reminded of something that is gone.", "没及时来的人，会收到一张已失效的券的提醒。"),
        cure=(
            "End the wait before: timeout: {until: steps.X.expires_at, offset: -1d}.",
            "让等待提前结束：timeout: {until: steps.X.expires_at, offset: -1d}。",
        ),
    ),
    "J132": Code(
        "warning",
        (
            "{found} with offset {offset} is always past: the benefit lives {lives}, and {takes} have gone by",
            "{found} 加 {offset} 总是已经过去：权益只有 {lives}，走到这里已过 {takes}",
        ),
        why=("The delay ends at once, so that the reminder follows on the heels of the gift.", "等待会立刻结束，提醒紧跟着礼物就到了。"),
        cure=("Take a smaller offset, or let the benefit live longer.", "把 offset 改小，或延长有效期。"),
    ),
    "J133": Code(
        "warning",
        (
            "the goal waits for another {found} with the same {subject} as the one that let the user in",
            "目标等的是同一个 {subject} 的又一次 {found}，而用户正是因它进来的",
        ),
        why=(
            "An order is paid once: the goal is never reached, and the numbers say nobody converts.",
            "同一单不会付两次：目标永远达不成，数据显示没人转化。",
        ),
        cure=(
            "Take another event as the goal, or any_subject: true for the next one.",
            "换一个事件做目标，或写 any_subject: true 表示下一次。",
        ),
    ),
    "J134": Code(
        "warning",
        (
            "this delay ends at {at}, inside the quiet hours {quiet}: step {found} is held until {until}",
            "这一步等到 {at}，正在勿扰时段 {quiet} 里：步骤 {found} 会拖到 {until}",
        ),
        why=(
            "Everybody's message would go out at the end of the quiet hours, at the same minute.",
            "所有人的消息都会挤在勿扰时段结束那一分钟发出。",
        ),
        cure=("Choose a time outside the quiet hours.", "选勿扰时段以外的时刻。"),
    ),
    "J135": Code(
        "warning",
        ("{span}: {found} leaves no time; expected {least} or more", "{span}: {found} 太短，至少要 {least}"),
        why=(
            "What needs a moment can never happen within nothing; a busy minute alone makes everything late.",
            "再快的事也要一点时间；忙一分钟就全算迟了。",
        ),
        cure=("Write a duration such as 30m, 6h or 3d.", "写一个时长，如 30m、6h、3d。"),
    ),
    "J136": Code(
        "warning",
        ("a live journey without tests", "已上线的旅程没有 tests"),
        why=("Without a test nobody sees what an edit changes before users do.", "没有测试，改了什么要等用户先看到。"),
        cure=(
            "Add tests: with one story for each way through; `journeyd check` runs them.",
            "加上 tests:，每条路写一个故事；`journeyd check` 会跑。",
        ),
    ),
    "J137": Code(
        "warning",
        (
            "the goal counts for {within}, and step {found} is sent {takes} after entry at the earliest",
            "目标只算 {within}，而步骤 {found} 最早在进入后 {takes} 才发",
        ),
        why=("What that message brings about is never counted.", "这条消息带来的转化永远不算数。"),
        cure=("Let goal.within last some days beyond the last message.", "让 goal.within 比最后一条消息再长几天。"),
    ),
    "J138": Code(
        "warning",
        (
            "who drops out of segment {found} and comes back enters again each time, and no cap holds back the messages of step {step}",
            "用户每次重新进入分群 {found} 都会再进旅程，步骤 {step} 的消息没有频次限制",
        ),
        why=(
            "Somebody at the edge of a segment goes in and out within days and is messaged each time.",
            "在分群边缘的人几天内进进出出，每次都收到消息。",
        ),
        cure=(
            "Write reentry: {after: 30d}, or set [policy] caps in config.toml.",
            "写 reentry: {after: 30d}，或在 config.toml 的 [policy] 里设 caps。",
        ),
    ),
    "J139": Code(
        "warning",
        (
            "ends_at {found} is not after the entry at {entry}: nobody is sent anything",
            "ends_at {found} 不晚于进入时刻 {entry}：谁也收不到",
        ),
        why=("At ends_at everybody inside ends and nothing more is sent.", "到了 ends_at，里面的人都结束，什么也不再发。"),
        cure=("Move ends_at behind the entry by the length of the journey.", "把 ends_at 改到进入时刻之后，留出旅程的长度。"),
    ),
}
