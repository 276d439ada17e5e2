"""What `explain` says, as lines of text on a wide terminal, at the time of the shop's clock; keys of the ledger are KEY."""

import re
from io import StringIO
from typing import Any

from rich.console import Console

from runtime import enquiring
from runtime.explain import only
from runtime.explain_command import wording_of
from runtime.show_message import message
from runtime.show_story import notes, story
from runtime.show_whynot import why_not_shown
from runtime.wording import Wording
from tests.shop import Shop

KEY = re.compile(r"\b[0-9a-f]{32}\b")


def wording(shop: Shop, language: str) -> Wording:
    """The project's wording in a language."""
    made = wording_of(shop.app)
    return Wording(language, made.zone, made.kinds, made.segments, made.stages)  # type: ignore[arg-type]


def _lines(console: Console) -> list[str]:
    file: Any = console.file
    return [KEY.sub("KEY", line.rstrip()) for line in file.getvalue().splitlines() if line.strip()]


def _paper() -> Console:
    return Console(file=StringIO(), width=400, highlight=False)


def told_story(
    shop: Shop, user_id: str = "u1", language: str = "en", *, journey: str = "", since: int | None = None, most: int | None = None
) -> list[str]:
    """A user's story, line by line."""
    whole, present = enquiring.whole_story(shop.app, user_id, shop.clock.now())
    console = _paper()
    story(console, only(whole, journey, since), wording(shop, language), most)
    notes(console, present, wording(shop, language))
    return _lines(console)


def told_why_not(shop: Shop, user_id: str, journey: str, language: str = "en") -> list[str]:
    """Why a user is not in a journey, line by line."""
    console = _paper()
    now = shop.clock.now()
    why_not_shown(console, enquiring.why_not(shop.app, user_id, journey, now), wording(shop, language), now)
    return _lines(console)


def told_message(shop: Shop, key: str, language: str = "en") -> list[str]:
    """Everything of one message, line by line."""
    console = _paper()
    message(console, enquiring.trace(shop.app, key, shop.clock.now()), wording(shop, language))
    return _lines(console)
