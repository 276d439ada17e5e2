"""What arrived of a client's calls, read from the daemon's database: one line of a table per call."""

import base64
import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from journeys.localtime import to_datetime
from runtime.intake.reading import inflate
from runtime.intake.sensors import messages
from tests.town import MINUTE, ZONE

LIMIT = 1 << 20


@dataclass(frozen=True)
class Call:
    """A call that a client announced. Its ids begin with `key`; `names` says what ids are called that the client made up."""

    client: str
    call: str
    key: str
    names: dict[str, str] = field(default_factory=dict)

    def is_mine(self, text: str) -> bool:
        """Whether a text is about this call."""
        return f"{self.key}-" in text or any(name in text for name in self.names)

    def short(self, text: str) -> str:
        """A text with ids as a reader wants them: `user`, `distinct_id:device`."""
        for made, name in self.names.items():
            text = text.replace(made, name)
        return text.replace(f"{self.key}-", "")


class Arrived:
    """A look into the daemon's database. `declared` are the events' fields; others are only counted."""

    def __init__(self, database: Path, declared: dict[str, set[str]]) -> None:
        self.database, self.declared = database, declared

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Rows as objects."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]

    def look(self) -> None:
        """Look at everything once; what is asked afterwards is answered from that."""
        self._events_kept = [{**row, "data": json.loads(row["data"])} for row in self.rows("SELECT * FROM events ORDER BY id")]
        self._users_kept = {row["user_id"]: row for row in self.rows("SELECT * FROM users ORDER BY user_id")}
        self._identities = self.rows("SELECT * FROM identities ORDER BY kind, value")
        self._catalogue = self.rows("SELECT * FROM catalogue_items ORDER BY source, type, id")
        self._set_aside = [(row, _as_text(row)) for row in self.rows("SELECT * FROM quarantine ORDER BY id")]

    def events(self, call: Call) -> list[dict[str, Any]]:
        """The events of everybody whom a call is about, in the order of their arrival."""
        hers = set(self.users(call))
        return [row for row in self._events_kept if row["user_id"] in hers and not row["type"].startswith("$")]

    def users(self, call: Call) -> dict[str, dict[str, Any]]:
        """Everybody whom a call is about: by her id, by an identity, or as the one into whom somebody was merged."""
        hers = {user_id for user_id in self._users_kept if call.is_mine(user_id)}
        hers |= {row["user_id"] for row in self._identities if call.is_mine(row["value"])}
        return {user_id: self._users_kept[user_id] for user_id in sorted(hers)}

    def line(self, call: Call) -> str:
        """Everything that came of a call, in words."""
        parts = [*self._events(call), *self._people(call), *self._items(call), *self._quarantine(call)]
        return "; ".join(parts).replace("|", "\\|") or "nothing"

    def _events(self, call: Call) -> list[str]:
        lines = []
        for event in self.events(call):
            fields = self.declared.get(event["type"], set())
            told = [f"{n} {_value(n, v, call)}" for n, v in sorted(event["data"].items()) if n in fields]
            more = len(event["data"]) - len(told)
            told += [f"+{more} undeclared"] if more else []
            near = abs(event["time"] - event["received_at"]) < 5 * MINUTE
            when = "" if near else f" at {_value('at', event['time'], call)}"
            lines.append(f"`{event['type']}` of `{call.short(event['user_id'])}`{when}{': ' if told else ''}{', '.join(told)}")
        return [f"{n} × {line}" if n > 1 else line for line, n in Counter(lines).items()]

    def _people(self, call: Call) -> list[str]:
        told = []
        for user_id, user in self.users(call).items():
            name = call.short(user_id)
            if user["merged_into"]:
                told.append(f"`{name}` merged into `{call.short(user['merged_into'])}`")
                continue
            hers = [f"{row['kind']} `{call.short(row['value'])}`" for row in self._identities if row["user_id"] == user_id]
            traits = json.loads(user["profile"]).get("p", {})
            shown = [f"{n} {_value(n, v, call)}" for n, v in sorted(traits.items())]
            told.append(
                f"user `{name}`"
                + (", anonymous" if user["anonymous"] else "")
                + (f" ({', '.join(hers)})" if hers else "")
                + (f": {', '.join(shown)}" if shown else "")
            )
        return told

    def _items(self, call: Call) -> list[str]:
        rows = self._catalogue
        return [
            f"item `{r['type']}/{call.short(r['id'])}` {_value('', json.loads(r['properties']), call)}"
            for r in rows
            if call.is_mine(r["id"])
        ]

    def _quarantine(self, call: Call) -> list[str]:
        found = Counter(f"set aside: {call.short(row['reason'])}" for row in self.quarantined(call))
        return [f"{n} × {line}" if n > 1 else line for line, n in found.items()]

    def quarantined(self, call: Call) -> list[dict[str, Any]]:
        """What was set aside of a call."""
        return [row for row, text in self._set_aside if call.is_mine(text)]


def _as_text(row: dict[str, Any]) -> str:
    """A quarantined body so that ids can be looked for: of a whole request, what its bytes say."""
    if row["kind"] != "request":
        return f"{row['reason']} {row['body']}"
    kept = json.loads(json.loads(row["body"]))  # a text, kept as every protected column is: as JSON
    raw = base64.b64decode(kept["base64"])
    found = messages(kept["query"], raw, LIMIT)
    if isinstance(found, list):
        return json.dumps(found, ensure_ascii=False)
    plain = inflate(raw, kept["headers"].get("content-encoding", ""), LIMIT)
    return plain.decode("utf-8", "replace") if isinstance(plain, bytes) else ""


def _value(name: str, value: Any, call: Call) -> str:
    if name.endswith("at") and isinstance(value, int):
        return f"{to_datetime(value, ZONE):%Y-%m-%d %H:%M:%S}" + (f".{value % 1000:03d}" if value % 1000 else "")
    return call.short(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
