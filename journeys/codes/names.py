"""Of names that stand for something elsewhere: events, segments, templates, benefits, steps."""

from collections.abc import Mapping

from journeys.codes.code import Code

CODES: Mapping[str, Code] = {
    "J020": Code(
        "error",
        (
            "unknown event {found}{hint}; declare it under events: in audience.yaml",
            "没有声明的事件 {found}{hint}；请在 audience.yaml 的 events 里声明",
        ),
        why=(
            "Only a declared event has typed fields; an undeclared one would never be matched.",
            "只有声明过的事件才有字段类型，没声明的永远匹配不上。",
        ),
        cure=(
            "Take the spelling that is proposed, or declare the event in audience.yaml.",
            "按提示改拼写，或在 audience.yaml 里声明这个事件。",
        ),
    ),
    "J021": Code(
        "error",
        ("unknown segment {found}{hint}{known}", "没有这个分群 {found}{hint}{known}"),
        why=("A segment that does not exist has nobody in it.", "不存在的分群里一个人也没有。"),
        cure=(
            "Take the spelling that is proposed, or write the segment in audience.yaml.",
            "按提示改拼写，或在 audience.yaml 里写这个分群。",
        ),
    ),
    "J022": Code(
        "error",
        ("unknown trait {found}{hint}{known}{rather}", "没有这个特征 {found}{hint}{known}{rather}"),
        why=(
            "A trait that does not exist is missing for everybody, so that the comparison is always false.",
            "不存在的特征对谁都缺失，比较永远不成立。",
        ),
        cure=(
            "Take the spelling that is proposed, or declare the trait in audience.yaml.",
            "按提示改拼写，或在 audience.yaml 里声明这个特征。",
        ),
    ),
    "J023": Code(
        "error",
        ("unknown field {found} of {event}{hint}{known}", "{event} 没有字段 {found}{hint}{known}"),
        why=("A field that the event does not have is always missing.", "事件没有的字段永远缺失。"),
        cure=(
            "Take the spelling that is proposed, or add the field to the event in audience.yaml.",
            "按提示改拼写，或在 audience.yaml 给事件加上这个字段。",
        ),
    ),
    "J024": Code(
        "error",
        (
            "unknown channel {found}{hint}; declare [channels.{found}] in config.toml",
            "没有配置渠道 {found}{hint}；请在 config.toml 里写 [channels.{found}]",
        ),
        why=("Without a channel in config there is nobody to hand the message to.", "config 里没有这个渠道，消息就没处发。"),
        cure=("Declare the channel in config.toml, or take another.", "在 config.toml 里配置这个渠道，或换一个。"),
    ),
    "J025": Code(
        "error",
        ("unknown template {found} of {channel}{hint}{known}{rather}", "{channel} 没有模板 {found}{hint}{known}{rather}"),
        why=("The vendor sends only templates that it has approved; config says which.", "通道只发审核过的模板，有哪些写在 config 里。"),
        cure=(
            "Take the spelling that is proposed, or declare the template in config.toml with the vendor's id.",
            "按提示改拼写，或在 config.toml 里写上模板和它的编号。",
        ),
    ),
    "J026": Code(
        "error",
        ("unknown field {found} of template {template}{hint}{known}", "模板 {template} 没有字段 {found}{hint}{known}"),
        why=("The vendor refuses a message with a field that its template does not have.", "模板里没有的字段，通道会整条拒收。"),
        cure=("Take the spelling that is proposed, or leave the field out.", "按提示改拼写，或删掉这个字段。"),
    ),
    "J027": Code(
        "error",
        ("template {template} needs the field {found}", "模板 {template} 缺少字段 {found}"),
        why=("The vendor refuses a message that leaves a field of its template empty.", "模板的字段没填全，通道会整条拒收。"),
        cure=("Write the field.", "补上这个字段。"),
    ),
    "J028": Code(
        "error",
        (
            "unknown benefit {found}{hint}; declare [benefits.{found}] in config.toml",
            "没有配置权益 {found}{hint}；请在 config.toml 里写 [benefits.{found}]",
        ),
        why=(
            "A benefit has its adapter and its budget in config; without them nothing can be given.",
            "权益怎么发、有多少预算都写在 config 里，没有就发不了。",
        ),
        cure=(
            "Take the spelling that is proposed, or declare the benefit in config.toml.",
            "按提示改拼写，或在 config.toml 里配置这个权益。",
        ),
    ),
    "J029": Code(
        "error",
        (
            "unknown endpoint {found}{hint}; declare [endpoints.{found}] in config.toml",
            "没有配置接口 {found}{hint}；请在 config.toml 里写 [endpoints.{found}]",
        ),
        why=(
            "Addresses and answers of endpoints stand in config, so that a journey holds no secrets.",
            "接口的地址和返回字段写在 config 里，旅程里不放密钥。",
        ),
        cure=(
            "Take the spelling that is proposed, or declare the endpoint in config.toml.",
            "按提示改拼写，或在 config.toml 里配置这个接口。",
        ),
    ),
    "J030": Code(
        "error",
        (
            "unknown robot {found}{hint}; declare [robots.{found}] in config.toml",
            "没有配置群机器人 {found}{hint}；请在 config.toml 里写 [robots.{found}]",
        ),
        why=("A robot's address is a secret and stands in config under its name.", "群机器人的地址是密钥，按名字写在 config 里。"),
        cure=(
            "Take the spelling that is proposed, or declare the robot in config.toml.",
            "按提示改拼写，或在 config.toml 里配置这个机器人。",
        ),
    ),
    "J031": Code(
        "error",
        ("unknown step {found}{hint}", "没有步骤 {found}{hint}"),
        why=("A jump, a result or a test would refer to nothing.", "跳转、结果或测试指到了不存在的步骤。"),
        cure=("Take the id of a step of this file; only steps with an id can be named.", "写本文件里有的步骤 id；没写 id 的步骤不能引用。"),
    ),
    "J032": Code(
        "error",
        ("unknown journey {found}{hint}", "没有旅程 {found}{hint}"),
        why=("in_journey of a journey that does not exist is false for everybody.", "不存在的旅程，in_journey 对谁都是假。"),
        cure=("Take the spelling that is proposed.", "按提示改拼写。"),
    ),
    "J033": Code(
        "error",
        ("unknown name {found}{hint}; expected user, entry, steps{event}", "不认识的名字 {found}{hint}；可用 user、entry、steps{event}"),
        why=("Only these names have values here.", "这里只有这些名字有值。"),
        cure=(
            "Begin the name with user., entry. or steps.; put quotes around what is meant as text.",
            "名字以 user.、entry. 或 steps. 开头；要写文字请加引号。",
        ),
    ),
    "J034": Code(
        "error",
        ("unknown variant {found} of step {step}{hint}", "步骤 {step} 没有分组 {found}{hint}"),
        why=("A test that asks for a variant that does not exist would test nothing.", "测试要的分组不存在，等于没测。"),
        cure=("Take the name of a variant of that split.", "写那个 split 里有的分组名。"),
    ),
    "J035": Code(
        "error",
        ("steps.{step} has no field {found}{hint}", "steps.{step} 没有字段 {found}{hint}"),
        why=("Each kind of step leaves its own results; another name is never set.", "每种步骤只留下自己的结果，别的名字永远没有值。"),
        cure=("Take the field that is proposed; docs/journeys.md lists them by kind.", "按提示改；docs/journeys.md 按步骤种类列出了字段。"),
    ),
    "J036": Code(
        "warning",
        ("{name} is never {found}{hint}{known}", "{name} 不会是 {found}{hint}{known}"),
        why=(
            "Stages and segments are told apart by their ids in audience.yaml, not by their names for people; a choice is what is declared.",
            "阶段和分群按 audience.yaml 里的英文 id 比较，不按给人看的名字；choice 只会是声明过的值。",
        ),
        cure=("Write what is proposed: 'dormancy', not '休眠期'.", "按提示写：写 'dormancy'，不写 '休眠期'。"),
    ),
}
