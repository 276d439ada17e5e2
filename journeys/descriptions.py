"""What every key means, for editors: English and Chinese, by model and key. `""` is the mapping itself.

Kept beside the model and not in it, so that the model reads as the grammar; a test holds the two together.
"""

from collections.abc import Mapping

from journeys.codes.code import Both

_EVENT: Both = ("The name of an event of audience.yaml, or a list of names.", "audience.yaml 里的事件名，或一组事件名。")
_WHERE: Both = (
    "A condition on the event at hand: event.FIELD, and user.*, entry.*, steps.* where they are known.",
    "对这个事件的条件：event.字段，以及此处已有的 user.*、entry.*、steps.*。",
)
_OF: Both = (
    "Whose event counts, when it is another user's: an expression that gives a user id.",
    "看别人的事件时，写谁的：给出用户 id 的表达式。",
)
_ANY_SUBJECT: Both = (
    "true: also events with another value of the entry's subject (another order, another group).",
    "true：不限进入时的那一单（团、好友），别的也算。",
)
_WHEN: Both = ("A condition, such as user.orders_90d >= 4.", "条件，如 user.orders_90d >= 4。")
_STEPS: Both = ("The steps that follow then; afterwards the journey goes on behind this step.", "这时要走的步骤；走完接着走这一步后面的。")
_TEMPLATE: Both = ("The template's name in config.toml.", "config.toml 里的模板名。")
_PAGE: Both = ("The mini-program page that opens, with its query; may hold {{ … }}.", "点开的小程序页面和参数，可写 {{ … }}。")
_OFFSET: Both = ("Shifts the moment: -1d is a day before.", "把时刻前后移：-1d 是早一天。")
_MOMENT: Both = ('When, as a quoted local time such as "2026-12-01 12:00".', '什么时候，加引号的当地时间，如 "2026-12-01 12:00"。')
_AFTER: Both = ("How long after the test's start.", "测试开始后多久。")

DESCRIPTIONS: Mapping[str, Mapping[str, Both]] = {
    "Journey": {
        "": ("One journey: who enters, what it is for, and its steps.", "一个旅程：谁进来、为了什么、走哪些步骤。"),
        "id": ("The stable name, equal to the file's; small letters, digits and _.", "固定的名字，与文件名一致；小写字母、数字和 _。"),
        "name": ("What people call it.", "给人看的名字。"),
        "description": ("What it does and why, for colleagues.", "做什么、为什么，写给同事看。"),
        "owner": ("Who answers for it: a person or a team.", "谁负责：人或团队。"),
        "status": (
            "draft: not applied. live: people enter. closed: nobody enters, those inside finish.",
            "draft 草稿，不发布；live 上线；closed 关闭，不再进人，里面的走完。",
        ),
        "purpose": (
            "marketing obeys quiet hours, caps and hold-outs; service answers something the user just did.",
            "marketing 营销，受勿扰时段、频次和对照组约束；service 服务，回应用户刚做的事。",
        ),
        "topic": ("The topic that caps in config can count.", "主题，config 里可按它限频次。"),
        "priority": ("0 to 100 (default 50): who goes first when one user has several messages waiting.", "0 到 100（默认 50）：同一个人有几条待发时谁先发。"),
        "entry": ("Who enters, and when.", "谁在什么时候进来。"),
        "holdout": ("A share that is let in and sent nothing, to compare with; needs a goal.", "对照组比例：进来但什么也不发，用来比较；需要 goal。"),
        "exit_when": ("What ends the journey for a user at any step.", "走到哪一步都会让用户离开的情况。"),
        "goal": ("What the journey is for; who reaches it has converted.", "旅程的目标；达成即转化。"),
        "ends_at": ("From this moment nothing is sent and everybody inside ends.", "到这个时刻不再发，里面的人都结束。"),
        "max_lateness": ("A step that begins later than this, after an outage, is late (default: no limit).", "停机后迟于这个时长才做的步骤算迟（默认不限）。"),
        "on_late": ("What happens then: skip the step, or exit.", "迟了怎么办：skip 跳过这一步，exit 离开。"),
        "steps": ("What happens, one after the other.", "依次做什么。"),
        "tests": ("Stories with the timeline that they must give; `journeyd check` runs them.", "故事和应有的结果；`journeyd check` 会跑。"),
    },
    "Entry": {
        "": ("Exactly one of event, segment, schedule, at, date, api, with its companions.", "event、segment、schedule、at、date、api 恰好写一个，可带附加的键。"),
        "event": ("Enter when this event arrives (one name or a list).", "这个事件到来时进入（一个名字或一组）。"),
        "segment": ("Enter on coming into this segment of audience.yaml.", "进入 audience.yaml 里的这个分群时进入。"),
        "schedule": ("Everybody who fits `where` enters at these times: five cron fields, 0 9 * * 5 is Fridays at 9.", "到点让符合 where 的人进入：五段 cron，0 9 * * 5 是每周五 9 点。"),
        "at": ('Once at "2026-12-18 10:00"; beside date: the time of day.', '在 "2026-12-18 10:00" 进入一次；和 date 一起写时是当天的时刻。'),
        "date": ("A date of the user, such as user.birthday: each year, or once for a time.", "用户的日期，如 user.birthday：每年一次；时间则只一次。"),
        "api": ("true: enter by a call of the API.", "true：由接口调用进入。"),
        "where": _WHERE,
        "user": ("Enrols somebody else than the event's user: an id or a list of ids, over entry.*.", "让别人进入：由 entry.* 给出的用户 id 或一组 id。"),
        "subject": ("A field of the event: one enrolment per user and value (order, group, friend).", "事件的字段：每人每个值一次（每单、每团、每个好友）。"),
        "existing": ("Those already in the segment at the first apply: skip or enrol them.", "首次发布时已在分群里的人：skip 不进，enrol 进。"),
        "pace": ("At most so many enter per time: 2000 per 1d.", "进入速度上限：2000 per 1d 是每天 2000 人。"),
        "offset": ("Shifts the date: -1d is the day before.", "把日期前后移：-1d 是前一天。"),
        "reentry": ("once, always, or {after: 30d} counted from the last entry.", "once 一次，always 每次，{after: 30d} 距上次进入满 30 天。"),
        "mode": (
            "While one is live: single refuses another, restart ends it first, parallel lets both run.",
            "还在旅程里时：single 不再进，restart 先结束旧的，parallel 同时进行。",
        ),
    },
    "Reentry": {"": ("After how long one may enter again.", "多久后可再进。"), "after": ("Counted from the last entry.", "从上次进入算起。")},
    "ExitWhen": {
        "": ("An event or a condition that ends the journey for a user.", "让用户离开的事件或条件。"),
        "event": _EVENT, "where": _WHERE, "of": _OF, "any_subject": _ANY_SUBJECT, "when": _WHEN,
        "reason": ("The reason that reports show.", "报表里显示的原因。"),
    },
    "Goal": {
        "": ("What the journey is for; held-out users count too.", "旅程的目标；对照组也算。"),
        "event": _EVENT, "where": _WHERE, "of": _OF, "any_subject": _ANY_SUBJECT,
        "within": ("How long after entry it counts.", "进入后多久内算数。"),
        "then": ("exit (default): who reaches it leaves; go_on: it is only counted.", "exit（默认）达成就离开；go_on 只记下，继续走。"),
    },
    "WechatContent": {
        "": ("A mini-program subscribe message.", "小程序订阅消息。"),
        "template": _TEMPLATE, "page": _PAGE,
        "data": ("The template's fields by our names in config; texts may hold {{ … }}.", "模板字段，用 config 里的名字；文字可写 {{ … }}。"),
    },
    "SmsContent": {
        "": ("A text message.", "短信。"),
        "template": _TEMPLATE,
        "params": ("The template's variables by our names in config.", "模板变量，用 config 里的名字。"),
    },
    "PushContent": {
        "": ("A push notification.", "App 推送。"),
        "title": ("The title; may hold {{ … }}.", "标题，可写 {{ … }}。"),
        "body": ("The text; may hold {{ … }}.", "正文，可写 {{ … }}。"),
        "page": _PAGE,
    },
    "WecomContent": {
        "": ("A WeCom message, to a person or to a group's robot.", "企业微信消息，发给个人或群机器人。"),
        "text": ("The text; may hold {{ … }}.", "正文，可写 {{ … }}。"),
    },
    "EmailContent": {
        "": ("An e-mail.", "邮件。"),
        "subject": ("The subject; may hold {{ … }}.", "主题，可写 {{ … }}。"),
        "body": ("The text; may hold {{ … }}.", "正文，可写 {{ … }}。"),
    },
    "Position": {
        "": ("One way to say it: exactly one channel with its content.", "一种发法：恰好一个渠道和内容。"),
        "wechat": ("A mini-program subscribe message.", "小程序订阅消息。"),
        "sms": ("A text message.", "短信。"),
        "push": ("A push notification.", "App 推送。"),
        "wecom": ("A WeCom message.", "企业微信消息。"),
        "email": ("An e-mail.", "邮件。"),
    },
    "Robot": {
        "": ("A group instead of a person.", "发到群，不发给个人。"),
        "robot": ("A name of [robots] in config.toml, or an expression that gives one.", "config.toml 里 [robots] 的名字，或给出名字的表达式。"),
    },
    "StepBase": {
        "": ("One step.", "一个步骤。"),
        "id": ("The step's stable name, unique in the file; results are read as steps.ID.…", "步骤的固定名字，本文件内不重复；结果写作 steps.ID.…"),
        "was": ("The id that this step had before, so that people inside stay in it.", "这一步以前的 id，里面的人会留在这一步。"),
        "if": ("The step is passed over unless this holds.", "条件不成立就跳过这一步。"),
    },
    "SendStep": {
        "": ("Send a message.", "发消息。"),
        "send": ("Channels with their contents in order: the first that works is used.", "按顺序写渠道和内容，用第一个发得出去的。"),
        "reach": ("all: send every one of the list.", "all：列表里的都发。"),
        "to": ("To somebody else (a user id), or {robot: NAME} for a group.", "发给别人（用户 id），或 {robot: 名字} 发到群。"),
        "between": ('Only in these local hours: "08:00-21:30"; outside it is held.', '只在这些时段发："08:00-21:30"，其余时间等着。'),
        "expires": ("Worthless after this: a duration, or a time such as steps.gift.expires_at.", "过后就不发：时长，或时刻如 steps.gift.expires_at。"),
        "purpose": ("marketing or service: this message's purpose, where it is not the journey's.", "marketing 或 service：这条消息的用途，与旅程不同时写。"),
        "topic": ("This message's topic for caps.", "这条消息的主题，用于频次。"),
        "fall_through": ("undelivered: go to the next of the list also when the vendor reports that it did not arrive.", "undelivered：通道回报没送达时也换下一个。"),
    },
    "DelayStep": {
        "": ("Wait for a time.", "等一段时间。"),
        "delay": ("How long (3d, 1d12h), or until a moment.", "多久（3d、1d12h），或等到某个时刻。"),
    },
    "Until": {
        "": ("A moment to wait for.", "要等的时刻。"),
        "until": ('A quoted time of day such as "18:30", or a time: user.active_hour, steps.gift.expires_at.', '加引号的时刻如 "18:30"，或时间：user.active_hour、steps.gift.expires_at。'),
        "offset": _OFFSET,
        "at": ('The time of that day: "10:00".', '那一天的几点："10:00"。'),
        "days": ("The next of these weekdays.", "推到其中最近的星期几。"),
        "if_missing": ('Where the value is missing: go_on, exit, or a time of day such as "18:30".', '值缺失时：go_on 继续、exit 离开，或某个时刻如 "18:30"。'),
        "if_past": ("Where it is past already: go_on (default) or exit.", "已经过去时：go_on 继续（默认）或 exit 离开。"),
    },
    "WaitStep": {
        "": ("Wait for something to happen, for so long.", "等某件事发生，最多等这么久。"),
        "wait_for": ("An event, a condition, or the first of several events, with a timeout.", "事件、条件，或几种事件中最先的，加上 timeout。"),
        "on_event": ("The steps that follow when it happened.", "等到了要走的步骤。"),
        "on_timeout": ("The steps that follow when it did not.", "没等到要走的步骤。"),
    },
    "Wait": {
        "": ("What is waited for: exactly one of event, when, any_of.", "等什么：event、when、any_of 恰好写一个。"),
        "event": _EVENT, "when": _WHEN,
        "any_of": ("Several events, each with its own steps; the first that comes.", "几种事件，各有步骤，取最先到的。"),
        "where": _WHERE, "of": _OF, "any_subject": _ANY_SUBJECT,
        "timeout": ("How long at most, or {until: …}.", "最多等多久，或 {until: …}。"),
    },
    "TimeoutAt": {
        "": ("The end of a wait as a moment.", "等到某个时刻为止。"),
        "until": ("A time, such as steps.gift.expires_at.", "时间，如 steps.gift.expires_at。"),
        "offset": _OFFSET,
    },
    "EventCase": {
        "": ("One of several awaited events.", "其中一种事件。"),
        "event": _EVENT, "where": _WHERE, "of": _OF, "any_subject": _ANY_SUBJECT, "steps": _STEPS,
    },
    "BranchStep": {
        "": ("Go one of several ways.", "分几种情况走。"),
        "branch": ("Cases in order; the first that holds is taken.", "按顺序写，取第一个成立的。"),
        "otherwise": ("The steps for everybody else.", "其余的人要走的步骤。"),
    },
    "Case": {"": ("One case.", "一种情况。"), "when": _WHEN, "steps": _STEPS},
    "SplitStep": {
        "": ("Draw lots: each user stays in the variant that was drawn.", "随机分组，抽到后不变。"),
        "split": ("Variants with weights.", "分组和权重。"),
        "per": ("enrolment: draw anew each time a user enters.", "enrolment：每次进入重新抽。"),
    },
    "Variant": {
        "": ("One variant.", "一个分组。"),
        "name": ("Its name in reports and tests.", "报表和测试里的名字。"),
        "weight": ("Its share beside the others: 1 and 1 are halves, 0 is never drawn.", "相对份额：1 和 1 各一半，0 不会抽到。"),
        "steps": _STEPS,
    },
    "GrantStep": {
        "": ("Give a benefit and wait until it is settled.", "发权益，等结果。"),
        "grant": ("Which benefit, and for how long.", "哪种权益、多久有效。"),
        "on_failed": ("The steps when it failed or the budget is used up; without it the journey ends.", "发不成或预算用完时的步骤；不写就结束。"),
    },
    "Grant": {
        "": ("A benefit for the recipient.", "给用户的权益。"),
        "benefit": ("A name of [benefits] in config.toml.", "config.toml 里 [benefits] 的名字。"),
        "amount": ("How much or how many, where the benefit has an amount.", "数额，权益有数额时写。"),
        "expires": ("How long it lives; read as steps.ID.expires_at.", "多久有效；写作 steps.ID.expires_at。"),
        "to": ("Somebody else, as a user id.", "给别人：用户 id。"),
        "once_per": ("At most once per this value, also over several enrolments: entry.order_id.", "同一个值只发一次，跨多次进入也算：entry.order_id。"),
        "timeout": ("How long its outcome may take (default 1d).", "结果最多等多久（默认 1d）。"),
    },
    "UpdateStep": {"": ("Change the user's profile and tags.", "改用户资料和标签。"), "update": ("The changes.", "怎么改。")},
    "Update": {
        "": ("Changes of the user's own profile.", "对用户资料的修改。"),
        "set": ("Profile traits with new values.", "资料特征和新值。"),
        "add_tags": ("Tags to add.", "加标签。"),
        "remove_tags": ("Tags to remove.", "去标签。"),
        "increment": ("Profile numbers, and by how much.", "数字特征加多少。"),
    },
    "CallStep": {
        "": ("Ask the operator's own system and wait for its answer.", "请求自己的系统，等回应。"),
        "call": ("Which endpoint, with what.", "哪个接口、带什么。"),
        "on_failed": ("The steps when it failed; without it the journey ends.", "失败时的步骤；不写就结束。"),
    },
    "EndpointCall": {
        "": ("A request to a named endpoint.", "对接口的请求。"),
        "endpoint": ("A name of [endpoints] in config.toml.", "config.toml 里 [endpoints] 的名字。"),
        "body": ("What is sent, as JSON; texts may hold {{ … }}.", "发送的内容（JSON），文字可写 {{ … }}。"),
        "timeout": ("How long it may take (default 10s).", "最多等多久（默认 10s）。"),
        "default": ("The answer to go on with when it fails.", "失败时就用这个回应继续。"),
    },
    "GotoStep": {"": ("Go on at another step.", "跳到别的步骤。"), "goto": ("Where, and how often.", "跳到哪、最多几次。")},
    "Goto": {
        "": ("A jump.", "跳转。"),
        "step": ("The id of a step of this file.", "本文件里步骤的 id。"),
        "max_visits": ("How often at most; only (and always) for a jump back.", "最多几次；往回跳必写，往后跳不写。"),
    },
    "ExitStep": {"": ("End the journey here.", "到此结束。"), "exit": ("The reason that reports show.", "报表里显示的原因。")},
    "JourneyTest": {
        "": ("A story of one user, with everything that must happen.", "一个用户的故事和应发生的一切。"),
        "name": ("What it shows, as a sentence.", "说明什么，写成一句话。"),
        "at": _MOMENT,
        "user": ("The user's traits at the start: {orders_90d: 4, last_order_at: 31d ago}.", "开始时的特征：{orders_90d: 4, last_order_at: 31d ago}。"),
        "entry": ("The data of the event that lets the user in.", "让用户进入的事件的数据。"),
        "given": ("What the world answers; unless given, everything works.", "外部的情况；不写就一切正常。"),
        "events": ("What the user does meanwhile.", "期间用户做了什么。"),
        "expect": (
            "Everything that must happen, in order, the end too; an unlisted message fails the test. []: she does not enter.",
            "应发生的一切，按顺序，包括结束；没列出的消息算失败。[] 表示她进不来。",
        ),
    },
    "StoryEvent": {
        "": ("An event of the story; further keys are its fields.", "故事里的事件；其余的键是它的字段。"),
        "after": _AFTER, "at": _MOMENT,
        "event": ("The event's name.", "事件名。"),
        "user": ("Somebody else's event: a user id.", "别人的事件：用户 id。"),
    },
    "Given": {
        "": ("What the world answers in a test.", "测试里外部的情况。"),
        "credits": ("How often a WeChat template may still be sent, by its name.", "各微信模板还能发几次。"),
        "consents": ("What the user agreed to: {sms: false} or {sms: {marketing: false}}.", "用户同意什么：{sms: false} 或 {sms: {marketing: false}}。"),
        "benefits": ("What becomes of a benefit: ok, sold_out or fails.", "权益结果：ok 成功、sold_out 预算用完、fails 失败。"),
        "calls": ("What an endpoint answers, or fails.", "接口的回应，或 fails。"),
        "variant": ("Which variant a split draws, by its step.", "各 split 步骤抽到哪组。"),
        "holdout": ("true: the user is held out.", "true：用户在对照组。"),
        "tags": ("The user's tags.", "用户的标签。"),
        "receipts": ("Whether messages arrive, by channel or step: delivered or undelivered.", "消息是否送达：delivered 或 undelivered。"),
    },
    "Expectation": {
        "": ("One thing that must happen: exactly one of send, grant, tag, suppressed, end.", "应发生的一件事：send、grant、tag、suppressed、end 恰好一个。"),
        "after": _AFTER, "at": _MOMENT,
        "send": ("A message by this channel.", "用这个渠道发的消息。"),
        "grant": ("This benefit is given.", "发了这种权益。"),
        "tag": ("This tag is added.", "加了这个标签。"),
        "suppressed": ("A message is not sent, for this reason.", "消息没有发，原因是这个。"),
        "end": ("The journey ends with this reason.", "旅程以这个原因结束。"),
        "step": ("At this step.", "在这一步。"),
        "contains": ("The message holds this text.", "消息里有这段文字。"),
    },
    "AudienceModel": {
        "": ("What journeys know of users: events, traits, segments, stages.", "旅程所知道的用户：事件、特征、分群、阶段。"),
        "events": ("Events with their fields and types.", "事件、字段和类型。"),
        "traits": ("What is known or computed of each user.", "每个用户已知或算出的特征。"),
        "segments": ("Named conditions on users.", "有名字的用户条件。"),
        "lifecycle": ("Stages in order; the first that holds is the user's.", "生命周期阶段，取第一个成立的。"),
        "suppress_marketing": ("While one of these holds, the user gets no marketing.", "其中一条成立时不发营销。"),
    },
    "TraitModel": {
        "": ("One trait: from the profile, computed by an aggregate of events, or a value of other traits.", "一个特征：来自资料、由事件聚合，或由别的特征算出。"),
        "type": ("The type of its values.", "值的类型。"),
        "from": ("profile: sent by your systems.", "profile：由你的系统送来。"),
        "value": ("Computed from other traits: user.a / user.b.", "由别的特征算出：user.a / user.b。"),
        "count": ("How many of this event.", "这个事件有几次。"),
        "sum": ("The sum of the field `of`.", "字段 of 之和。"),
        "avg": ("The mean of the field `of`.", "字段 of 的平均。"),
        "first": ("The field `of` of the first event.", "第一次事件的字段 of。"),
        "last": ("The field `of` of the last event.", "最近一次事件的字段 of。"),
        "top": ("The most frequent value of the field `of`.", "字段 of 出现最多的值。"),
        "distinct": ("How many different values the field `of` has.", "字段 of 有几种不同的值。"),
        "median_gap": ("The median of days between these events.", "两次事件间隔天数的中位数。"),
        "of": ("The event's field (time and hour too); for a choice: its values.", "事件的字段（也可写 time、hour）；choice 类型则写可选的值。"),
        "within": ("Only events of the last so long.", "只算最近这段时间的事件。"),
        "where": _WHERE,
        "at_least": ("Missing below so many events.", "少于几次就算缺失。"),
        "take": ("The field to show instead of `of`.", "取这个字段来显示。"),
        "default": ("The value where it is missing.", "缺失时的值。"),
    },
    "SegmentModel": {"": ("A segment.", "一个分群。"), "name": ("What people call it.", "给人看的名字。"), "when": _WHEN},
    "StageModel": {
        "": ("A stage of the lifecycle.", "一个生命周期阶段。"),
        "stage": ("Its stable name.", "固定的名字。"),
        "name": ("What people call it.", "给人看的名字。"),
        "when": ("A condition; the last stage has none.", "条件；最后一个阶段不写。"),
    },
    "StopModel": {"": ("A stop of marketing.", "暂停营销的情况。"), "name": ("What people call it.", "给人看的名字。"), "when": _WHEN},
}  # fmt: skip
