"""Of conditions and of texts with `{{ }}`."""

from collections.abc import Mapping

from journeys.codes.code import Code

CODES: Mapping[str, Code] = {
    "J040": Code(
        "error",
        ("the condition cannot be read: {problem}", "条件写法有误：{problem}"),
        why=("A condition that cannot be read decides nothing.", "读不懂的条件决定不了任何事。"),
        cure=(
            "Use ASCII quotes and operators: user.city == '上海' and user.age >= 18.",
            "用半角引号和运算符：user.city == '上海' and user.age >= 18。",
        ),
    ),
    "J041": Code(
        "error",
        (
            "{found} is not allowed in a condition; allowed are names, comparisons, and, or, not, in, + - * / and the functions of the language",
            "条件里不能用 {found}",
        ),
        why=(
            "The language of conditions is small, so that it means the same for one user and for a million in the database.",
            "条件的语言很小，这样对一个人和对一百万人意思都一样。",
        ),
        cure=(
            "Say it with comparisons, and, or, not, in and the functions of docs/journeys.md; compute the rest as a trait.",
            "用比较、and、or、not、in 和 docs/journeys.md 里的函数来写；算不出的做成特征。",
        ),
    ),
    "J042": Code(
        "error",
        ("unknown function {found}{hint}", "没有函数 {found}{hint}"),
        why=("There are no other functions than those of the language.", "除了语言自带的，没有别的函数。"),
        cure=("Take the spelling that is proposed.", "按提示改拼写。"),
    ),
    "J043": Code(
        "error",
        ("{function} expects {expected}, found {found}", "{function} 需要{expected}，现在是 {found}"),
        why=("Another type would never give a useful value.", "类型不对，得不到有用的值。"),
        cure=(
            "Give it what it expects; texts stand in quotes: count('order_paid', within='30d').",
            "给它需要的类型；文字要加引号：count('order_paid', within='30d')。",
        ),
    ),
    "J044": Code(
        "error",
        (
            "expected a condition (true or false), found {found}; compare it with something",
            "这里要一个条件（真或假），现在是 {found}；请写比较",
        ),
        why=(
            "A value alone is neither true nor false; whether 0 or “no” is a yes is not guessed.",
            "光有一个值不算真假：0 算不算真、“否”算不算真，我们不猜。",
        ),
        cure=(
            "Compare it: user.vip == true, user.age > 0, user.city is known.",
            "写成比较：user.vip == true、user.age > 0、user.city is known。",
        ),
    ),
    "J045": Code(
        "error",
        ("cannot compare {left} with {right}", "{left} 不能和 {right} 比较"),
        why=(
            "Values of different types are never equal, so that the comparison would always say the same.",
            "不同类型永远不相等，比较结果永远一样。",
        ),
        cure=("Compare the same types: numbers without quotes, texts with quotes.", "两边用同一种类型：数字不加引号，文字加引号。"),
    ),
    "J046": Code(
        "error",
        ("{operator} works on numbers and times, found {found}", "{operator} 只能用于数字和时间，现在是 {found}"),
        why=("Texts have no order that people agree on, and no sums.", "文字没有公认的大小，也不能加减。"),
        cure=(
            "Use == or in for texts; declare the trait as a number where it is one.",
            "文字用 == 或 in；本来是数字就把特征声明成 number。",
        ),
    ),
    "J047": Code(
        "error",
        ("event.* may stand only inside a where; here use entry.* or steps.*", "event.* 只能写在 where 里；这里请用 entry.* 或 steps.*"),
        why=("Outside a where there is no event at hand: the step may run days later.", "where 之外手上没有事件，步骤可能几天后才执行。"),
        cure=(
            "Use entry.* for the event that let the user in, steps.ID.* for one that was waited for.",
            "进入时的事件用 entry.*，等到的事件用 steps.ID.*。",
        ),
    ),
    "J048": Code(
        "error",
        ("{function} may not stand {where}", "{where}不能用 {function}"),
        why=(
            (
                "Segments, stages and stops are asked of everybody at once, where reach, consent and budgets are not known; "
                "a wait hears events and what changes of the user, not that a budget, her reach or another journey changes."
            ),
            "分群、阶段和停发规则要一次问遍所有人，那时不知道能否触达、是否同意、剩多少预算；等待听得到事件和用户自身的变化，听不到预算、触达和别的旅程的变化。",
        ),
        cure=("Ask it in a step: if: reachable('sms').", "写到步骤里：if: reachable('sms')。"),
    ),
    "J049": Code(
        "error",
        (
            "{found} must stand alone on one side of a comparison here, so that its moment can be foreseen",
            "{found} 在这里必须单独在比较的一边，才能预知何时变化",
        ),
        why=(
            "The moment at which the condition flips is computed ahead; that needs the time, or the trait that is one, alone on one side.",
            "条件何时变化要提前算出来，所以时间函数，或取值是时间函数的特征，要单独在一边。",
        ),
        cure=(
            "Move the arithmetic to the other side: days_since(user.x) > 3 - 1; out of a trait, to where it is compared: user.idle > 3 - 1.",
            "把加减移到另一边：days_since(user.x) > 3 - 1；特征里的加减移到比较它的地方：user.idle > 3 - 1。",
        ),
    ),
    "J050": Code(
        "warning",
        (
            "{found} drops users for whom {name} is missing; add “or {name} is missing” if they should pass",
            "{found} 不含 {name} 缺失的人；若要包含，请加 or {name} is missing",
        ),
        why=(
            "A comparison with something missing is false, so that people without a value are left out silently.",
            "和缺失的值比较总是假，没有这个值的人会悄悄被排除。",
        ),
        cure=(
            "Add “or … is missing”, or “… is known and” when leaving them out is meant.",
            "要包含他们就加 or … is missing；本来就要排除就加 … is known and。",
        ),
    ),
    "J051": Code(
        "error",
        (
            "{name} exists only where step {step} succeeded; guard it with on_failed that exits, or if: steps.{step}.ok",
            "{name} 只在步骤 {step} 成功后才有；请让 on_failed 退出，或用 if: steps.{step}.ok",
        ),
        why=("After a failure there is no code and no expiry, and the text would have a hole.", "失败后没有券码和到期时间，文案会缺一块。"),
        cure=(
            "End on_failed with an exit, or guard the step with if: steps.X.ok.",
            "让 on_failed 以 exit 结束，或给这一步加 if: steps.X.ok。",
        ),
    ),
    "J052": Code(
        "error",
        ("{found} refers in a circle to itself ({circle})", "{found} 引用成环（{circle}）"),
        why=("What is defined by itself has no value.", "自己定义自己，算不出值。"),
        cure=("Break the circle: write one of the conditions out.", "断开这个圈：把其中一个条件直接写出来。"),
    ),
    "J053": Code(
        "warning",
        ("{found} never holds: look at {clauses}", "{found} 永远不成立，请看 {clauses}"),
        why=("Whatever is written for this case never happens.", "为这种情况写的内容永远不会发生。"),
        cure=("Mend the condition; delete what depends on it if it is not needed.", "改条件；用不着就把依赖它的内容删掉。"),
    ),
    "J054": Code(
        "warning",
        ("{found} always holds, so that it decides nothing", "{found} 永远成立，等于没写"),
        why=(
            "A condition that everybody meets hides a mistake: the cases after it are never taken.",
            "人人都满足的条件多半写错了：后面的情况永远轮不到。",
        ),
        cure=("Mend the condition, or delete it (in a branch use otherwise).", "改条件，或删掉它（branch 里用 otherwise）。"),
    ),
    "J055": Code(
        "warning",
        (
            "{found} is never asked: everybody whom it takes is taken by {earlier} on line {line}",
            "{found} 轮不到：满足它的人都被第 {line} 行的 {earlier} 先拿走了",
        ),
        why=(
            "Of several cases the first that holds is taken; a wider one before a narrower one takes all.",
            "按顺序取第一个成立的，宽的写在窄的前面就全被拿走。",
        ),
        cure=("Put the narrower case first: >= 12 before >= 3.", "把窄的写在前面：>= 12 在 >= 3 之前。"),
    ),
    "J056": Code(
        "error",
        (
            "this goes {found} levels deep, with the traits and segments that it reads; at most {most} can be asked of everybody at once",
            "这个条件连同它用到的特征和分群共嵌套 {found} 层；一次问遍所有人最多 {most} 层",
        ),
        why=(
            "Segments, stages and those who may enter together are asked by the database in one expression, and its parser goes no deeper.",
            "分群、阶段和成批进入由数据库用一个表达式来问，它的解析器没有更深。",
        ),
        cure=(
            "Add up fewer terms at a time (each + is a level), or have the result sent as a trait.",
            "一次少加几项（每个 + 算一层），或把算好的结果作为特征送进来。",
        ),
    ),
    "J060": Code(
        "error",
        ("the text cannot be read: {problem}", "文案写法有误：{problem}"),
        why=("A text that cannot be read would reach users with its braces.", "读不懂的文案会带着括号发给用户。"),
        cure=(
            "Write {{ name | filter }} with both pairs of braces and ASCII quotes.",
            "写成 {{ 名字 | 过滤器 }}，两对括号齐全，引号用半角。",
        ),
    ),
    "J061": Code(
        "error",
        ("{found} is not allowed in a text; allowed is {{{{ name | filter }}}}", "文案里不能用 {found}，只能写 {{{{ 名字 | 过滤器 }}}}"),
        why=(
            "Texts have no statements and no calls, so that they need no sandbox and look the same in every test.",
            "文案里没有语句和函数，才安全，测试里看到的才和发出的一样。",
        ),
        cure=("Use a branch for different texts, a trait for computed values.", "不同文案用 branch，要算的值做成特征。"),
    ),
    "J062": Code(
        "error",
        ("unknown filter {found}{hint}", "没有过滤器 {found}{hint}"),
        why=(
            "There are no other filters than default, date, money, truncate and join.",
            "过滤器只有 default、date、money、truncate 和 join。",
        ),
        cure=("Take the spelling that is proposed.", "按提示改拼写。"),
    ),
    "J063": Code(
        "error",
        ("{filter} expects {expected}, found {found}", "{filter} 需要{expected}，现在是 {found}"),
        why=("A filter on another type has no result.", "过滤器用在别的类型上没有结果。"),
        cure=(
            "Give the filter what it expects: {{ user.x | default('邻居') | truncate(8) }}.",
            "给过滤器需要的类型：{{ user.x | default('邻居') | truncate(8) }}。",
        ),
    ),
    "J064": Code(
        "warning",
        (
            "field {field} ({kind}) holds {limit} characters and {fixed} are fixed text: {value} has room for {room} and may be longer",
            "字段 {field}（{kind}）最多 {limit} 字，固定文字已占 {fixed} 字，{value} 只剩 {room} 字，可能放不下",
        ),
        why=(
            "The vendor refuses what is too long, and what we cut loses its end; that shows only for some users.",
            "太长会被通道拒收，或被截掉结尾，而且只有部分用户才会遇到。",
        ),
        cure=(
            "Add a filter: {{ user.x | truncate(8) }}, so that all of it together fits.",
            "加过滤器：{{ user.x | truncate(8) }}，让总长放得下。",
        ),
    ),
}
