"""Of YAML's traps: what a person writes and YAML reads otherwise."""

from collections.abc import Mapping

from journeys.codes.code import Code

CODES: Mapping[str, Code] = {
    "J018": Code(
        "error",
        ("a space is missing after {mark} in {found}", "{found} 里 {mark} 后面少一个空格"),
        why=("Without the space YAML reads one long word, and no key.", "少了空格，YAML 会当成一个长词，不是键。"),
        cure=("Write a space after it: “delay: 3d”, “- id: gift”.", "后面加空格：“delay: 3d”、“- id: gift”。"),
    ),
    "J019": Code(
        "warning",
        (
            "{found} without quotes is a number and is sent as {sent}; put quotes around it",
            "{found} 没加引号会当成数字，发出去是 {sent}；请加引号",
        ),
        why=("Numbers have no zeros at their end: a price of 9.90 would reach users as 9.9.", "数字末尾的零会丢：9.90 元会发成 9.9。"),
        cure=('Write it in quotes: "9.90".', '加引号写："9.90"。'),
    ),
    "J120": Code(
        "error",
        ('{found} has {{{{ and no quotes; write "{found}"', '{found} 里有 {{{{ 却没加引号；请写 "{found}"'),
        why=("For YAML an opening brace begins a mapping, not a text.", "YAML 里花括号开头表示一组键，不是文字。"),
        cure=("Put double quotes around the whole text, with ASCII single quotes inside.", "整段文字加双引号，里面用半角单引号。"),
    ),
    "J121": Code(
        "warning",
        (
            "the text ends before “{found}”: a # after a space begins a comment; put quotes around the text",
            "文字到“{found}”之前就断了：空格加 # 是注释；请给整段文字加引号",
        ),
        why=("The rest would silently not be sent.", "后面的内容会悄悄不发。"),
        cure=("Quote the whole text; if it is a comment, write a space after the #.", "整段加引号；如果真是注释，# 后面加一个空格。"),
    ),
    "J122": Code(
        "error",
        ("a tab stands here; YAML is indented with spaces", "这里有制表符（Tab），YAML 只能用空格缩进"),
        why=("Editors show a tab as two, four or eight spaces: nobody sees what is meant.", "Tab 在不同编辑器里宽度不同，看不出缩进到哪。"),
        cure=(
            "Replace it with spaces, two for each level; editors can do so for the whole file.",
            "换成空格，每级两个；编辑器可以整份替换。",
        ),
    ),
    "J123": Code(
        "error",
        ("{found} is {what}; YAML and conditions need the half-width {expected}", "{found} 是{what}，这里要用半角 {expected}"),
        why=(
            "To YAML a full-width colon, quote or space is a letter like any other.",
            "对 YAML 来说，全角的冒号、引号、空格只是普通文字。",
        ),
        cure=("Type it with the input method switched to English.", "切到英文输入法再输入。"),
    ),
    "J124": Code(
        "error",
        ("the text {found} has a colon and a space inside; put quotes around it", "文字 {found} 里有冒号加空格；请加引号"),
        why=("A colon with a space after it makes what stands before it a key.", "冒号加空格会把前面的内容变成键。"),
        cure=('Write "…" around the text, or use the Chinese colon ：.', "给文字加双引号，或用中文冒号“：”。"),
    ),
    "J125": Code(
        "error",
        ("this line is indented by {found} {found:space|spaces}; expected {expected}", "这一行缩进了 {found} 格，应是 {expected} 格"),
        why=(
            "Indentation says what belongs to what: keys of one thing stand exactly below each other.",
            "缩进表示从属：同一层的键要上下对齐。",
        ),
        cure=(
            "Align the line with the key it belongs beside, or two spaces deeper than the one it belongs to.",
            "和同级的键对齐，或比上级多两格。",
        ),
    ),
    "J126": Code(
        "error",
        ("expected a list here: begin each item with “- ”, found {found}", "这里要一个列表：每一项以“- ”开头，现在是 {found}"),
        why=(
            "A list may have several items; without dashes it is not seen where one begins.",
            "列表可以有多项，没有短横就看不出从哪开始。",
        ),
        cure=(
            "Write “- ” before the first key of each item and indent its other keys by two.",
            "每一项的第一个键前写“- ”，其余键缩进两格。",
        ),
    ),
    "J127": Code(
        "error",
        (
            "{opened} opened on line {line} is not closed, or text follows behind its end",
            "第 {line} 行的 {opened} 没有配对，或结束后还有文字",
        ),
        why=("YAML reads on to the next quote or bracket, over lines.", "YAML 会一直读到下一个引号或括号，跨行也算。"),
        cure=(
            "Close it; around a text with quotes inside use the other kind: \"user.city == '上海'\".",
            "补上另一半；里面有引号时外面用另一种：\"user.city == '上海'\"。",
        ),
    ),
    "J128": Code(
        "error",
        ("{found} is a text here; expected true or false", "{found} 在这里是文字，应写 true 或 false"),
        why=("In YAML 1.2 yes, no, on and off are words like any other.", "YAML 1.2 里 yes、no、on、off 只是普通文字。"),
        cure=("Write true or false, without quotes.", "写 true 或 false，不加引号。"),
    ),
    "J119": Code(
        "error",
        ('{found} needs quotes inside {{ }}: write "{found}"', '花括号里的 {found} 要加引号：写 "{found}"'),
        why=(
            "Inside braces a colon ends a key, also one without a space after it, and a bracket begins a list.",
            "花括号里的冒号会被当成键的结尾，后面没有空格也一样；方括号会被当成列表。",
        ),
        cure=(
            "Write it in quotes: {until: \"18:30\"}, {where: \"event.item in ['a', 'b']\"}.",
            "加引号写：{until: \"18:30\"}、{where: \"event.item in ['a', 'b']\"}。",
        ),
    ),
    "J141": Code(
        "error",
        ("the text {found} has a comma and stands in braces; put quotes around it", "花括号里的文字 {found} 带了逗号；请加引号"),
        why=(
            "Inside braces a comma ends the value, and what follows is taken for a key.",
            "花括号里的逗号会结束这个值，后面的会被当成键。",
        ),
        cure=('Write "…" around the text, or use the Chinese comma ，.', "给文字加双引号，或用中文逗号“，”。"),
    ),
    "J129": Code(
        "error",
        ("a text that begins with {found} needs quotes", "以 {found} 开头的文字要加引号"),
        why=("At the beginning of a value this character has a meaning of its own in YAML.", "值的开头出现这个符号，在 YAML 里另有含义。"),
        cure=('Put quotes around the text: "@…", "*…*", "[热卖] …".', '给文字加引号："@…"、"*…*"、"[热卖] …"。'),
    ),
}
