"""Of the sources in config.toml, whose names are mapped to ours."""

from collections.abc import Mapping

from journeys.codes.code import Code

CODES: Mapping[str, Code] = {
    "J142": Code(
        "warning",
        (
            "{key}: audience.yaml does not declare the event “{found}”{hint}{known}",
            "{key}：audience.yaml 没有声明事件“{found}”{hint}{known}",
        ),
        why=(
            "Events of this name are kept and counted, and no rule sees them: nobody enters by one, and no wait or goal hears it.",
            "这个名字的事件会保存、会计数，但没有规则看得到：没人因它进入，等待和目标也听不到。",
        ),
        cure=(
            "Take the spelling that is proposed, or declare the event under events: in audience.yaml.",
            "按提示改拼写，或在 audience.yaml 的 events: 下声明这个事件。",
        ),
    ),
    "J143": Code(
        "warning",
        ("{key}: the event {event} has no field “{found}”{hint}{known}", "{key}：事件 {event} 没有字段“{found}”{hint}{known}"),
        why=(
            "The value is kept with the event, and no rule sees it: where a rule asks for the field that was meant, it is missing.",
            "值会随事件保存，但没有规则看得到：规则要用的那个字段一直缺失。",
        ),
        cure=(
            "Take the spelling that is proposed, or add the field to the event in audience.yaml.",
            "按提示改拼写，或在 audience.yaml 给事件加上这个字段。",
        ),
    ),
    "J144": Code(
        "warning",
        (
            "{key}: no event that source {source} may bring has a field “{found}”{hint}{known}",
            "{key}：来源 {source} 能送来的事件都没有字段“{found}”{hint}{known}",
        ),
        why=(
            "A mapping without an event is for all events of its source; where none has the field, no rule ever sees the value.",
            "不写事件名的映射管这个来源的所有事件；没有一个事件有这个字段，规则就永远看不到这个值。",
        ),
        cure=(
            "Take the spelling that is proposed, or add the field to its event in audience.yaml; may_assert says what the source may bring.",
            "按提示改拼写，或在 audience.yaml 给事件加上这个字段；来源能送什么看 may_assert。",
        ),
    ),
    "J145": Code(
        "warning",
        (
            "{key}: audience.yaml does not declare the trait “{found}”{hint}{known}",
            "{key}：audience.yaml 没有声明特征“{found}”{hint}{known}",
        ),
        why=(
            "The value is kept with the user, and no rule sees it: no segment, no condition, no text.",
            "值会随用户保存，但没有规则看得到：分群、条件、文案都用不上。",
        ),
        cure=(
            "Take the spelling that is proposed, or declare the trait in audience.yaml with from: profile.",
            "按提示改拼写，或在 audience.yaml 用 from: profile 声明这个特征。",
        ),
    ),
    "J146": Code(
        "warning",
        (
            "{key}: the trait “{found}” is made of events or of other traits, and no source may set it",
            "{key}：特征“{found}”是由事件或别的特征算出来的，来源不能设置",
        ),
        why=("What the source says of it is passed over: rules see what was calculated.", "来源送来的值不起作用：规则看到的是算出来的值。"),
        cure=(
            "Map to a trait with from: profile, declared for it in audience.yaml, or leave the mapping out.",
            "映射到 audience.yaml 里为它声明的 from: profile 特征，或删掉这条映射。",
        ),
    ),
    "J147": Code(
        "warning",
        (
            "{key}: the event “{found}” is believed of signed sources only, and source {source} is not one",
            "{key}：事件“{found}”只信有签名的来源，来源 {source} 没有签名",
        ),
        why=(
            "Whoever reads the key out of the program could say that somebody paid, so all of these events are set aside.",
            "从程序里读出密钥的人就能谎称有人付了款，所以这些事件全部隔离。",
        ),
        cure=(
            "Post it from the back end by a signed source (docs/sources.md), and delete the mapping.",
            "由后端从有签名的来源送（见 docs/sources.md），并删掉这条映射。",
        ),
    ),
    "J148": Code(
        "warning",
        (
            "{key}: may_assert of source {source} does not allow the event “{found}”",
            "{key}：来源 {source} 的 may_assert 不允许事件“{found}”",
        ),
        why=("Every event of this name is set aside, and moves nobody.", "这个名字的事件全部隔离，推动不了任何人。"),
        cure=("Add the event to may_assert of this source.", "把这个事件加进这个来源的 may_assert。"),
    ),
    "J149": Code(
        "warning",
        ("{key}: the event “{found}” is the system's own, and no source may bring it", "{key}：事件“{found}”由系统产生，来源不能送"),
        why=("Every event of this name is set aside, and moves nobody.", "这个名字的事件全部隔离，推动不了任何人。"),
        cure=("Map to an event that you declare in audience.yaml.", "映射到在 audience.yaml 里声明的事件。"),
    ),
    "J150": Code(
        "warning",
        (
            "{key}: source {source} is a webhook, whose names are taken as they stand: this does nothing",
            "{key}：来源 {source} 是 webhook，名字原样接收：这里写的不起作用",
        ),
        why=(
            "Who posts signed events posts them under the names of audience.yaml; others are kept, and no rule sees them.",
            "送签名事件要用 audience.yaml 里的名字；别的名字会保存，但没有规则看得到。",
        ),
        cure=("Post our names, and delete the mapping.", "按我们的名字送，并删掉这些映射。"),
    ),
}
