"""Of a journey's own keys, and of its tests."""

from collections.abc import Mapping

from journeys.codes.code import Code

CODES: Mapping[str, Code] = {
    "J080": Code(
        "error",
        (
            "a live segment entry needs existing: skip or existing: enrol (what happens to those already inside)",
            "按分群进入的旅程要写 existing: skip 或 enrol（已在分群里的人怎么办）",
        ),
        why=(
            "The first apply may find thousands inside already: enrolling them or not is a decision.",
            "第一次发布时分群里可能已有几千人，要不要让他们进是个决定。",
        ),
        cure=(
            "Write existing: skip (only who enters from now on) or existing: enrol.",
            "写 existing: skip（只管以后进来的）或 existing: enrol。",
        ),
    ),
    "J081": Code(
        "error",
        ("holdout needs a goal: without one there is nothing to compare", "holdout 需要 goal，否则没有可比的"),
        why=("A hold-out shows its worth only by comparing who reached the goal.", "对照组的意义就是比谁达成了目标。"),
        cure=("Add a goal, or delete holdout.", "加上 goal，或删掉 holdout。"),
    ),
    "J082": Code(
        "error",
        ("holdout is refused with purpose: service: nobody is denied a service message", "purpose: service 不能有 holdout"),
        why=(
            "A notice answers something the user did; keeping it from a tenth of them is a fault.",
            "服务通知是回应用户的，故意不给一成的人发是事故。",
        ),
        cure=("Delete holdout, or make it a marketing journey.", "删掉 holdout，或改成营销旅程。"),
    ),
    "J083": Code(
        "error",
        (
            "until: {found} may be missing; say if_missing: go_on, exit or a time",
            "until: {found} 可能缺失，请写 if_missing: go_on、exit 或一个时刻",
        ),
        why=(
            "Where the value is missing there is no moment to wait for, and somebody has to decide.",
            "值缺失就没有可等的时刻，得有人定下怎么办。",
        ),
        cure=('Add if_missing: go_on, exit or a time such as "18:30".', '加上 if_missing: go_on、exit 或一个时刻，如 "18:30"。'),
    ),
    "J084": Code(
        "warning",
        (
            "goal {found} asks for a coupon that the hold-out never gets; use order_paid to compare fairly",
            "目标 {found} 要用券，对照组没有券，比较不公平；建议用 order_paid",
        ),
        why=(
            "The hold-out gets no coupon and cannot use one: the comparison flatters the journey.",
            "对照组没有券也就用不了券，这样比会高估效果。",
        ),
        cure=("Take order_paid (or what the coupon is meant to bring about) as the goal.", "目标用 order_paid（或发券想带来的结果）。"),
    ),
    "J085": Code(
        "error",
        ("{found} goes with {needs}", "{found} 要和 {needs} 一起用"),
        why=("Beside this form the key has no meaning.", "和这种写法在一起，这个键没有意义。"),
        cure=("Delete the key, or use it with the form that is named.", "删掉这个键，或和提示的写法一起用。"),
    ),
    "J086": Code(
        "error",
        ("on_late needs max_lateness", "on_late 要和 max_lateness 一起用"),
        why=("Without a limit nothing is ever late.", "没有上限就无所谓迟。"),
        cure=("Add max_lateness, or delete on_late.", "加上 max_lateness，或删掉 on_late。"),
    ),
    "J087": Code(
        "warning",
        ("a marketing journey without a goal: nobody can tell whether it worked", "营销旅程没有 goal，无法衡量效果"),
        why=(
            "Marketing that is not measured is kept by habit; and who has bought already should leave.",
            "不衡量的营销只是惯性；已经买了的人也该离开。",
        ),
        cure=(
            "Add goal: {event: order_paid, within: 14d}; it also ends the journey for who reached it.",
            "加上 goal: {event: order_paid, within: 14d}；达成的人也会就此离开。",
        ),
    ),
    "J088": Code(
        "error",
        ("a release that removes {found}, which {who} uses with people inside, is refused", "{who} 里还有人，用着 {found}，不能删除"),
        why=(
            "People inside stay on the version they entered; without this name they could not go on.",
            "里面的人留在进入时的版本，删了这个名字他们就走不下去。",
        ),
        cure=("Keep the name until they are through, or close the journey and wait.", "等他们走完再删，或先关闭旅程。"),
    ),
    "J089": Code(
        "error",
        (
            "{found} cannot be asked of everybody at once, as the where of this entry is; write it as the if: of the first step",
            "这里的 where 要一次问遍所有人，不能用 {found}；请写到第一个步骤的 if 里",
        ),
        why=(
            "A population is found by one statement in the database, which knows no reach, consent or budget.",
            "人群由数据库一次查出，那里不知道能否触达、是否同意、剩多少预算。",
        ),
        cure=("Let everybody in and make the first step if: not …, exit: ….", "先让人进来，第一步写 if: not …、exit: …。"),
    ),
    "J111": Code(
        "error",
        ("test “{test}” failed: expected {expected}, got {got}", "测试“{test}”没有通过：应是 {expected}，实际 {got}"),
        why=("A test is the story that the journey promises; it tells another one now.", "测试就是旅程承诺的故事，现在对不上了。"),
        cure=("Mend the journey where the story is right, the expectation where the journey is.", "故事对就改旅程，旅程对就改预期。"),
    ),
    "J112": Code(
        "warning",
        ("no test sends step {found}: its text was never seen with values", "没有测试发出步骤 {found}：它的文案没有代入过数值"),
        why=(
            "A text that nobody has seen with values in it may lack one, or read badly, for the first time before a user.",
            "没代入过数值的文案，缺内容或读不通，要到用户面前才第一次看到。",
        ),
        cure=(
            "Add a test whose story comes to this step: expect: [{… send: …, step: …, contains: …}].",
            "加一条走到这一步的测试：expect: [{… send: …, step: …, contains: …}]。",
        ),
    ),
    "J113": Code(
        "error",
        ("this can never be: {kind} {found}{hint}; here it can be {expected}", "不可能出现 {kind} {found}{hint}；这里只可能是 {expected}"),
        why=(
            "A test that expects what no step can give fails whatever the journey does.",
            "测试写了哪一步都给不出的结果，怎么改旅程都通不过。",
        ),
        cure=("Expect one of what is named, or write the step that gives it.", "改成列出的其中之一，或先写出会有这结果的步骤。"),
    ),
    "J114": Code(
        "error",
        ("out of order: {found} is before {earliest}", "时间顺序不对：{found} 早于 {earliest}"),
        why=(
            "What is expected stands in its order in time, and nothing happens before a test starts.",
            "预期按时间先后写，测试开始之前什么也不会发生。",
        ),
        cure=("Put the lines in order, or correct at: and after:.", "按时间排好各行，或改正 at 和 after。"),
    ),
    "J115": Code(
        "warning",
        (
            "test “{test}” sees only that somebody of whom nothing is known does not enter ({why})",
            "测试“{test}”只说明：什么资料都没有的人进不来（{why}）",
        ),
        why=(
            "It passes whatever the steps do: nobody comes to them.",
            "没有人走到步骤，步骤怎么写它都通过。",
        ),
        cure=(
            "Write in user: and entry: what lets her in, or what keeps her out.",
            "用 user: 和 entry: 写明她凭什么能进来，或因什么进不来。",
        ),
    ),
    "J116": Code(
        "warning",
        (
            "test “{test}” begins with somebody who is not in segment {segment} then ({at}): {clauses}",
            "测试“{test}”开始时（{at}），用户不在分群 {segment} 里：{clauses} 不成立",
        ),
        why=(
            "People enter at the moment at which they come into the segment; this story can happen to nobody.",
            "用户是在进入分群的那一刻进入旅程的，这个故事在真实用户身上不会发生。",
        ),
        cure=(
            "Give the test a user of that segment: user: {last_order_at: 31d ago}; tags stand in given.",
            "给测试一个在分群里的用户，如 user: {last_order_at: 31d ago}；标签写在 given 里。",
        ),
    ),
    "J117": Code(
        "warning",
        (
            "test “{test}” begins at {at}, when nobody enters: {entry} lets in next at {next}",
            "测试“{test}”从 {at} 开始，这个时刻没有人进入：按 {entry}，下一次是 {next}",
        ),
        why=(
            "A test lets its user in at its `at`, whatever the schedule or the date says; a wrong schedule passes it.",
            "测试总在 at 那一刻让用户进入，不看定时或日期写的是什么；定时写错了也照样通过。",
        ),
        cure=(
            "Write a moment at which the journey lets in, or correct the entry; leave out at: where the moment does not matter.",
            "at 写成旅程真会放人进来的时刻，或改正 entry；和时刻无关的测试可以不写 at。",
        ),
    ),
}
