"""How personal columns are written: one place, so that encryption and erasure change nothing else."""

from typing import Any

import orjson

PERSONAL_COLUMNS = frozenset(
    {"users.profile", "users.reach", "events.data", "inbox.payload", "enrolments.context", "log.entries", "messages.content",
     "refusals.why", "quarantine.body"}
)  # fmt: skip


class Codec:
    """Plain JSON. The column and the user are given with every call: an encrypting codec binds the text to both."""

    def encode(self, column: str, user_id: str, value: Any) -> str:  # noqa: ARG002 - see the class
        """The stored text of a value."""
        return orjson.dumps(value).decode()

    def decode(self, column: str, user_id: str, text: str) -> Any:  # noqa: ARG002 - see the class
        """The value of a stored text."""
        return orjson.loads(text)


def compact(value: Any) -> str:
    """JSON of a column that holds nothing personal."""
    return orjson.dumps(value).decode()


def parse(text: str) -> Any:
    """The value of such a column."""
    return orjson.loads(text)
