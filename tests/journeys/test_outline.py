from rich.cells import cell_len

from journeys.diagram import Counts
from journeys.outline import as_text, outline

STEPS = """\
- id: morning
  delay: {until: '09:00'}
- id: which
  branch:
    - when: user.vip
      steps:
        - id: vip_news
          send: [{push: {title: 您好, body: 今日特价}}]
        - exit: told
  otherwise:
    - id: gift
      grant: {benefit: gift_5}
- id: opened
  wait_for: {event: app_opened, timeout: 1d}
"""


def test_the_tree_shows_nesting_conditions_ends_and_numbers(workshop):
    counts = Counts({"morning": 1234, "opened": 5}, what="inside")

    assert as_text(outline(workshop.compile(STEPS), counts)) == """\
测试 · j
numbers: how many are inside now
      entry event order_paid; once for each user
1,234 ├─ delay    morning  until 09:00
      ├─ branch   which
      │  ├─ user.vip
    0 │  │  ├─ send vip_news  push “您好 / 今日特价”
      │  │  └─ exit told
      │  └─ otherwise
    0 │     └─ grant gift  gift_5
      │        └─ failed → gift_failed
    5 ├─ wait for opened   app_opened; at most 1d
      │  ├─ app_opened → completed
      │  └─ timeout → completed
      └─ end completed
"""  # fmt: skip


def test_a_way_that_just_goes_on_names_no_step_which_may_have_a_condition(workshop):
    steps = (
        "- id: which\n  branch:\n    - when: user.vip\n      steps: [{id: early, branch: [{when: user.city == '上海', steps: [{exit: told}]}]}]\n"
        "- {exit: gone, if: user.city is missing}\n- {id: last, delay: 1d}"
    )
    rows = as_text(outline(workshop.compile(steps))).splitlines()

    assert [row.strip("│├└─ ") for row in rows if "→" in row] == ["otherwise → goes on below", "otherwise → goes on below"]


def test_names_stand_one_below_the_other_in_chinese_too(workshop):
    rows = as_text(outline(workshop.compile(STEPS), language="zh")).splitlines()

    columns = [
        cell_len(row[: row.index(name)])
        for row in rows
        for name in ("morning", "which", "opened")
        if f"{name} " in f"{row} " and "→" not in row and "等事件 app" not in row and row[0] in "├└"
    ]
    assert columns == [10, 10, 10]


def test_no_row_is_wider_than_the_terminal_and_nothing_is_lost(shipped):
    for journey in shipped.checked.journeys.values():
        wide, narrow = outline(journey, language="zh"), outline(journey, language="zh", width=72)

        assert max(cell_len("".join(span.text for span in row).rstrip()) for row in narrow) <= 72, journey.id
        assert letters(wide) == letters(narrow)


def letters(rows):
    return "".join(c for row in rows for span in row if span.style != "guide" for c in span.text if c != " ")


def test_rows_go_on_below_where_their_details_begin(workshop):
    condition = " or ".join(f"user.city == '城市{n}'" for n in range(6))
    rows = as_text(outline(workshop.compile(f"- id: a\n  if: {condition}\n  delay: 1d\n- id: b\n  delay: 2d"), width=60)).splitlines()

    assert rows[2:6] == [
        "├─ delay a  if user.city == '城市0' or user.city == '城市1'",
        "│           or user.city == '城市2' or user.city == '城市3'",
        "│           or user.city == '城市4' or user.city == '城市5';",
        "│           1d",
    ]
