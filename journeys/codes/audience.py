"""Of audience.yaml."""

from collections.abc import Mapping

from journeys.codes.code import Code

CODES: Mapping[str, Code] = {
    "J100": Code(
        "error",
        ("trait {found} needs exactly one of {expected}", "特征 {found} 要恰好写 {expected} 之一"),
        why=("It has to be said where the value comes from, once.", "值从哪里来要说清楚，只说一处。"),
        cure=(
            "Write from: profile, value: … or one aggregate such as count: order_paid.",
            "写 from: profile、value: … 或一种聚合，如 count: order_paid。",
        ),
    ),
    "J101": Code(
        "error",
        ("{found} does not go with {aggregate}", "{found} 不能和 {aggregate} 一起用"),
        why=("The aggregate would not look at this key.", "这种聚合不看这个键。"),
        cure=("Delete the key, or take another aggregate.", "删掉这个键，或换一种聚合。"),
    ),
    "J102": Code(
        "error",
        (
            "{aggregate} makes a {made}, the trait {found} is declared {declared}",
            "{aggregate} 得到 {made}，特征 {found} 声明的是 {declared}",
        ),
        why=("Conditions are checked against the declared type.", "条件按声明的类型检查。"),
        cure=("Declare the type that the aggregate makes.", "把类型改成聚合得到的那种。"),
    ),
    "J103": Code(
        "error",
        ("the last lifecycle stage must have no when, the others must", "生命周期最后一个阶段不能写 when，其余必须写"),
        why=("Everybody has exactly one stage, so that the last one takes the rest.", "每个人恰好在一个阶段，所以最后一个要兜住其余的人。"),
        cure=("Leave when: out in the last stage, and only there.", "只在最后一个阶段不写 when:。"),
    ),
    "J104": Code(
        "error",
        ("event {found} belongs to the system and is not declared", "事件 {found} 由系统产生，不用声明"),
        why=("The system makes this event with its own fields.", "这个事件由系统产生，字段是定好的。"),
        cure=("Delete the declaration; the event can be used as it is.", "删掉声明，直接用就行。"),
    ),
    "J105": Code(
        "error",
        ("event {found} is not kept and cannot be counted", "事件 {found} 不保存，不能用来统计"),
        why=(
            "It moves journeys at the moment at which the system makes it, and is no part of a profile: the count would always be 0.",
            "系统产生它的那一刻就推动旅程，不进用户资料：统计出来永远是 0。",
        ),
        cure=(
            "Enter or wait by it, and add a tag or increment a trait by update; count that.",
            "用它进入或等待，再用 update 加标签或给特征加一，然后看那个。",
        ),
    ),
}
