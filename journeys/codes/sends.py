"""Of messages: what policy and the vendors allow."""

from collections.abc import Mapping

from journeys.codes.code import Code

CODES: Mapping[str, Code] = {
    "J140": Code(
        "warning",
        (
            "{found} is service, which quiet hours do not hold, and comes whenever {after} is over, also at night",
            "{found} 是服务消息，不受勿扰时段限制；{after} 什么时候结束就什么时候发，半夜也会发",
        ),
        why=(
            "Service is exempt from quiet hours because it answers what somebody just did; some hours later nobody waits for it.",
            "服务消息不受勿扰时段限制，是因为它回应用户刚做的事；过了几个小时，就没有人在等它了。",
        ),
        cure=(
            'Write between: "07:30-21:30" beside the send; it is held until then.',
            '在 send 旁写 between: "07:30-21:30"，到时段内才发。',
        ),
    ),
    "J090": Code(
        "error",
        (
            "template {found} has purpose {template_purpose}, the step sends {purpose}",
            "模板 {found} 是 {template_purpose}，步骤要发的是 {purpose}",
        ),
        why=("Marketing in a template approved for notices gets the template banned.", "用服务模板发营销，模板会被封。"),
        cure=("Take a template of the same purpose, or set purpose: on the step.", "换同类用途的模板，或在步骤上写 purpose:。"),
    ),
    "J091": Code(
        "error",
        ("only {expected} goes to a robot, found {found}", "发给群机器人只能用 {expected}，现在是 {found}"),
        why=("A group robot speaks WeCom alone.", "群机器人只能发企业微信。"),
        cure=("Write wecom: {text: …}, or delete to: {robot: …}.", "写 wecom: {text: …}，或删掉 to: {robot: …}。"),
    ),
    "J092": Code(
        "error",
        ("reach: all and fall_through exclude each other", "reach: all 和 fall_through 不能同时写"),
        why=(
            "One sends everything at once, the other sends the next only when the first failed.",
            "一个是全都发，一个是前面失败才发下一个。",
        ),
        cure=("Keep one of them.", "只留一个。"),
    ),
    "J093": Code(
        "error",
        (
            "between {between} lies wholly inside the quiet hours {quiet}: it would be held for ever",
            "between {between} 全部落在勿扰时段 {quiet} 里，永远发不出去",
        ),
        why=(
            "Marketing waits until quiet hours are over, and then it is outside `between` again.",
            "营销要等勿扰时段过去，可那时又不在 between 里了。",
        ),
        cure=(
            "Move between out of the quiet hours, or mark the step purpose: service if it answers the user.",
            "把 between 移出勿扰时段；如果是回应用户的，写 purpose: service。",
        ),
    ),
    "J094": Code(
        "error",
        ("field {field} ({kind}): {problem}", "字段 {field}（{kind}）：{problem}"),
        why=("The vendor refuses the whole message (WeChat: 47003), for every user.", "通道会整条拒收（微信 47003），对每个人都一样。"),
        cure=("Shorten the text, or put it into a field of another type.", "把文字改短，或换到别的类型的字段。"),
    ),
    "J095": Code(
        "warning",
        (
            "marketing by sms could go out at {at}, when the vendor refuses it (allowed {earliest}-{latest}); set between, or quiet hours",
            "营销短信可能在 {at} 发出，通道只许 {earliest}-{latest}；请写 between 或设勿扰时段",
        ),
        why=("The vendor refuses marketing at night; the message would be lost, not delayed.", "夜里通道拒收营销，消息是丢掉，不是推迟。"),
        cure=(
            'Write between: "09:00-21:00" on the step, or set quiet_hours in config.toml.',
            '在步骤上写 between: "09:00-21:00"，或在 config.toml 里设 quiet_hours。',
        ),
    ),
    "J096": Code(
        "error",
        (
            "template {found} has variables; this vendor allows none in marketing sms ({why})",
            "模板 {found} 带变量，该通道的营销短信不许有变量（{why}）",
        ),
        why=("The vendor would not approve this template, or refuses it at sending.", "这种模板过不了审核，或发送时被拒。"),
        cure=("Take a template with fixed text, or send the personal part by WeChat.", "换固定文案的模板；个性化的部分用微信发。"),
    ),
    "J097": Code(
        "error",
        (
            "the text of marketing template {found} must end with {expected} ({why})",
            "营销短信模板 {found} 的结尾必须是 {expected}（{why}）",
        ),
        why=("The law asks for an easy way to refuse, and vendors ask for this wording.", "法规要求给出退订方式，通道要求这样写。"),
        cure=(
            "End the text in config.toml (and at the vendor) with the wording named.",
            "把 config.toml 里（和通道那边）的正文结尾改成这样。",
        ),
    ),
    "J098": Code(
        "warning",
        (
            "template {found} looks like {uses}, which this vendor bans in marketing sms ({why})",
            "模板 {found} 像是 {uses}，该通道的营销短信禁止（{why}）",
        ),
        why=("A banned use costs the signature its approval, and with it every sms.", "用途违规会连累签名，所有短信都发不了。"),
        cure=("Say it by WeChat, or take a vendor that allows it.", "改用微信发，或换允许的通道。"),
    ),
    "J099": Code(
        "error",
        ("the text of template {found} must not contain {what}", "模板 {found} 的正文里不能有 {what}"),
        why=(
            "The vendor adds the signature itself, and a notice that offers to unsubscribe counts as marketing.",
            "签名由通道自己加；通知里写退订会被当作营销。",
        ),
        cure=("Take these characters out of the text.", "从正文里删掉这些字。"),
    ),
}
