"""`journeyd rebuild`: everybody's profile made anew from her events, or compared with them, chunk by chunk.

A chunk is one transaction under the engine's own locks. It is asked of the daemon that holds the SQLite file, or done here.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from runtime.engine import BATCH, Engine

MOST_SHOWN = 1000  # users with differences that are named; all are counted
Ask = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class Rebuilt:
    """What came of a rebuild so far. `after` is the last user looked at: where another run may go on."""

    users: int = 0
    differing: int = 0
    renewed: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    after: str = ""
    done: bool = False

    def take(self, answer: dict[str, Any]) -> None:
        """Add a chunk's answer."""
        self.users += answer["users"]
        self.differing += len(answer["differences"])
        self.renewed += answer["renewed"]
        self.differences += answer["differences"][: MOST_SHOWN - len(self.differences)]
        self.unreadable += answer["unreadable"]
        self.after, self.done = answer["after"], answer["done"]


def one_chunk(engine: Engine, request: dict[str, Any], now: int) -> dict[str, Any]:
    """One chunk as data. `request`: after, user, check. With no release there is nothing to make a profile by: an error."""
    if not engine.refresh().release_id:
        return {"error": "nothing is applied yet; `journeyd apply` makes the first release"}
    after, user, check = str(request.get("after", "")), str(request.get("user", "")), bool(request.get("check"))
    with engine.store.database.reading() as tx:
        left = 1 if user else engine.store.people.number_after(tx, after)
    return {**asdict(engine.rebuild(after, now, BATCH, user_id=user, check=check)), "left": left}


def go_through(rebuilt: Rebuilt, ask: Ask, request: dict[str, Any], advance: Callable[[int, int], None]) -> str:
    """Chunk after chunk until everybody was looked at; what went wrong, or nothing. `advance` is told (users done, users in all)."""
    total = 0
    while not rebuilt.done:
        answer = ask({**request, "command": "rebuild", "after": rebuilt.after})
        if "error" in answer:
            return str(answer["error"])
        total = total or rebuilt.users + int(answer["left"])
        rebuilt.take(answer)
        advance(rebuilt.users, total)
    return ""
