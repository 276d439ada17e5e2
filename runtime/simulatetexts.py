"""What `simulate` says, in Chinese and in English: what a replay cannot know, and the words of its table and report."""

from typing import Any

from journeys.errors import Language
from journeys.phrasing import phrase

CAVEATS: dict[str, tuple[str, str]] = {
    "silence": (
        "Nothing happened to anybody between {after} and {until}: is a time in the file wrong? Journeys went on in it all the same.",
        "{after} 到 {until} 之间谁也没有任何事件：文件里是不是有时间写错了？这段时间旅程照样往前走。",
    ),
    "bad_rows": (
        "{n} {n:row|rows} of the files could not be read and {n:is|are} not in these figures.",
        "文件里有 {n} 行读不出来，不在这些数字里。",
    ),
    "reactions": (
        "Nobody reacts to a message that was never sent: orders, opens, replies and refusals after it are what people did without it.",
        "没有真的发出消息，就没有人会作出反应：之后的下单、打开、回复和退订，都是大家没收到消息时的样子。",
    ),
    "conversions": (
        "“Converted” counts what people did anyway. It is no effect of the journey; only a hold-out group of the live journey shows one.",
        "“转化”数的是大家本来就会做的事，不是旅程的效果；效果要看上线后的对照组。",
    ),
    "vendors": (
        (
            "Every message counts as accepted and every benefit as given until its budget is used up: no refusals by vendors, no receipts,"
            " no dead addresses, no outages."
        ),
        "消息一律算发成功，权益在预算用完前一律算发放成功：不计服务商拒收、回执、失效地址和故障。",
    ),
    "everybody": (
        "No --users: everybody counted as reachable and consented on every channel.",
        "没有给 --users：所有人在所有渠道都算联系得上、也都同意接收。",
    ),
    "today": (
        (
            "Consents, addresses, tags and the traits that came from outside are those of today, not of then; "
            "what journeys set or tagged is taken back. Who has no event takes part from when the database knew her."
        ),
        "是否同意、联系地址、标签和外部送来的特征，用的是今天的，不是当时的；旅程自己设的值和标签已除去。没有事件的人，从数据库认识她那时算起。",
    ),
    "credits": (
        "WeChat subscriptions are not counted: whoever has consented can be sent any number of subscribe messages.",
        "不计微信订阅次数：同意了的人可以收到任意条订阅消息。",
    ),
    "cold_start": (
        (
            "Nobody has a past before the first event: traits over 90 or 180 days fill up only as the run goes on."
            " With --from DAY earlier events make the profiles first."
        ),
        "第一条事件之前，所有人都没有过去：90 天、180 天的特征要跑一段才准。用 --from 日期，可先用更早的事件建好画像。",
    ),
    "sample": (
        (
            "Figures are of a sample: {share} of the users ({users}), by a hash of their ids. Budgets and paces were cut to that part."
            " Whoever waits for somebody outside the sample waits in vain."
        ),
        "数字来自抽样：{share} 的用户（{users} 人），按用户 id 的哈希抽取；预算和进入速度也按比例缩小。等抽样外的人做某事的，等不到。",
    ),
    "prices": (
        "Config has no price for {lanes}: the cost is without it. A long SMS counts as one, though vendors charge each part.",
        "config 里没有写 {lanes} 的价格，费用里不含它；长短信按一条计，服务商会按拆分条数收费。",
    ),
    "no_prices": (
        "Config names no prices (`price` of a channel or benefit): what it costs is not said.",
        "config 里没有价格（渠道或权益的 price），所以不显示费用。",
    ),
    "drafts": (
        "Drafts are not run, as no release would have them: {journeys}.",
        "草稿不会运行（发布里也没有它们）：{journeys}。",
    ),
    "quarantined": (
        "{n} records could not be worked on and were set aside; they cost only themselves.",
        "有 {n} 条记录处理不了，已单独搁置，不影响其他人。",
    ),
}
SIMULATED: dict[str, tuple[str, str]] = {
    "cannot_know": ("What a replay cannot know", "回放不可能知道的事"),
    "cannot_know_short": (
        "A replay cannot know how people would have reacted: “converted” is what they did anyway, and every message counts as accepted.",
        "回放不知道大家会有什么反应：“转化”是本来就会发生的，消息一律算发成功。",
    ),
    "repeated_ids": (
        "{file}: {n} {n:row repeats|rows repeat} an id, {differing} with other content: the first row of each id counts",
        "{file}：{n} 行的 id 重复，其中 {differing} 行内容不同：每个 id 只算第一行",
    ),
    "simulated": (
        "{events} {events:event|events}, {users} {users:user|users}, {bad} bad {bad:row|rows}",
        "{events} 条事件，{users} 位用户，{bad} 行有问题",
    ),
    "written": ("report: {file}", "报告：{file}"),
    "nobody_came": ("nobody came near: {journeys}", "没有人走近：{journeys}"),
    "refused": ("not let in", "没有进入"),
    "step": ("step", "步骤"),
    "what": ("what happened", "发生了什么"),
    "held": ("held for later", "延后"),
    "granted": ("benefits given", "发放权益"),
    "not_granted": ("not given", "没有发放"),
    "cost": ("cost", "费用"),
    "budget": ("budget", "预算"),
    "left": ("left", "剩余"),
    "benefit": ("benefit", "权益"),
    "estimate": ("of everybody (95 %)", "推算到全体（95%）"),
    "foreseen_title": ("What would have happened", "如果当时就这样运行"),
    "compared_title": ("Who gets what they did not get before", "谁会收到以前没有的"),
    "more_users": ("and {n} more (--json names all)", "等，另有 {n} 人（--json 全部列出）"),
    "some_of_them": ("{journey}, {step}, {how}: {users}", "{journey}，{step}，{how}：{users}"),
    "only_after": ("new", "新增"),
    "only_before": ("gone", "不再有"),
    "moved": ("at another time", "时间变了"),
    "changed": ("other channel or text", "渠道或文案变了"),
    "same": ("same", "不变"),
    "before": ("before", "之前"),
    "after": ("after", "之后"),
    "shift": ("median shift", "时间差（中位）"),
    "entrants": ("users who enter", "进入的用户"),
    "both": ("both", "都有"),
    "nothing_differs": ("Everybody gets the same at the same time.", "每个人收到的都一样，时间也一样。"),
    "examples": ("examples", "举例"),
    "summary": ("Per journey", "各旅程"),
    "sends_chart": ("Messages by channel", "各渠道发送量"),
    "suppressed_chart": ("Not sent, by reason", "没有发，按原因"),
    "caps_chart": ("Cap pressure", "频次上限的压力"),
    "caps_about": (
        "Sends that a cap kept from going out, and sends that had to take a later channel of their list because of it.",
        "被频次上限拦下的发送，以及因此改走后面渠道的发送。",
    ),
    "dropped_by_cap": ("dropped", "没发"),
    "fell_through": ("took a later channel", "改走后面的渠道"),
    "cap": ("cap", "上限"),
    "cost_chart": ("Cost", "费用"),
    "price": ("price", "单价"),
    "n": ("n", "数量"),
    "no_price": ("no price in config", "config 里没有价格"),
    "budget_chart": ("Budget left", "预算余额"),
    "budget_used_up": ("used up on {day}", "{day} 用完"),
    "flow_of": ("How people went", "怎么走的"),
    "stages_chart": ("Users by stage at the ends of the months", "各月底的用户阶段"),
    "per_day": ("per day", "每天"),
    "per_week": ("per week", "每周"),
    "per_month": ("per month", "每月"),
    "span": ("{first} to {last}", "{first} 到 {last}"),
    "nothing_here": ("none", "没有"),
    "the_end": ("end", "结束"),
    "last_check": ("right before sending", "发送前最后检查"),
    "sample_of": ("sample of {share}", "抽样 {share}"),
}


def caveat(code: str, language: Language, **values: Any) -> str:
    """What a simulation cannot know, or has assumed."""
    return phrase(CAVEATS[code][0 if language == "en" else 1], values)
