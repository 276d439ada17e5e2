"""docs/findings.md is what the catalogue of codes says. Written anew with JOURNEYD_WRITE_DOCS=1."""

import os
import re
from pathlib import Path

from journeys.codes import AREAS, CODES
from journeys.errors import explain_code

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"
HEAD = """\
# What `journeyd check` may find · `journeyd check` 会发现什么

A line such as `welcome.yaml:12:9: J051 …` has a code. An error stops `apply`; a warning does not. … stands for what your file says.
`journeyd check --explain J051` prints one of these entries.

`welcome.yaml:12:9: J051 …` 这样的一行里有一个编号。错误会阻止 `apply`，提醒不会。… 代表你文件里的内容。
`journeyd check --explain J051` 会打印其中一条。
"""


def written():
    """The page as the catalogue says it."""
    parts = [HEAD]
    for (english, chinese), codes in AREAS:
        parts.append(f"\n## {english} · {chinese}\n")
        for code in sorted(codes):
            told = [line for language in ("en", "zh") for line in explain_code(code, language).replace("*", r"\*").split("\n")]
            told[0], told[3] = (line.partition(": ")[2] for line in (told[0], told[3]))
            kind = "error · 错误" if codes[code].severity == "error" else "warning · 提醒"
            parts.append(
                f"\n### {code}\n{kind}\n" + "".join(f"{'- ' if place in (0, 3) else '  '}{line}\n" for place, line in enumerate(told))
            )
    return "".join(parts)


def test_the_page_of_findings_is_what_the_catalogue_says():
    if os.environ.get("JOURNEYD_WRITE_DOCS"):
        PAGE.write_text(written(), encoding="utf-8")

    assert PAGE.read_text(encoding="utf-8") == written()


def test_every_code_has_one_entry_on_the_page():
    assert sorted(re.findall("^### (J[0-9]{3})$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) == sorted(CODES)
