"""How personal columns are written: one place, so that encryption and erasure change nothing else."""

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import orjson

PERSONAL_COLUMNS = frozenset(
    {"users.profile", "users.reach", "events.data", "inbox.payload", "enrolments.context", "log.entries", "messages.content",
     "attempts.address", "attempts.content", "refusals.why", "quarantine.body"}
)  # fmt: skip


class Unreadable(Mapping[str, Any]):
    """A stored text that is no JSON object: whoever asks for its content gets the error, so that it costs one record only.

    Written back it is the text as it was.
    """

    def __init__(self, column: str, text: str) -> None:
        self.column, self.text = column, text

    def _refuse(self) -> NoReturn:
        raise ValueError(f"{self.column} cannot be read: {self.text[:60]!r}")

    def __getitem__(self, key: str) -> Any:
        self._refuse()

    def __iter__(self) -> Iterator[str]:
        self._refuse()

    def __len__(self) -> int:  # noqa: PLE0303 - it always raises
        self._refuse()

    def setdefault(self, key: str, default: Any = None) -> Any:  # noqa: ARG002 - a dict's signature
        """As a dict's: refused like every other use."""
        self._refuse()

    def __repr__(self) -> str:
        return f"Unreadable({self.column})"


class Codec:
    """Plain JSON. The column and the user are given with every call: an encrypting codec binds the text to both."""

    def encode(self, column: str, user_id: str, value: Any) -> str:  # noqa: ARG002 - see the class
        """The stored text of a value."""
        return orjson.dumps(value).decode()

    def decode(self, column: str, user_id: str, text: str) -> Any:  # noqa: ARG002 - see the class
        """The value of a stored text."""
        return orjson.loads(text)

    def decode_object(self, column: str, user_id: str, text: str) -> Any:
        """The mapping of a stored text; Unreadable when it is none, which raises when it is used and not before."""
        if text == "{}":
            return {}
        try:
            value = self.decode(column, user_id, text)
        except ValueError:
            return Unreadable(column, text)
        return value if isinstance(value, dict) else Unreadable(column, text)

    def encode_object(self, column: str, user_id: str, value: Any) -> str:
        """The stored text of a mapping."""
        if isinstance(value, Unreadable):
            return value.text
        return self.encode(column, user_id, value) if value else "{}"


def compact(value: Any) -> str:
    """JSON of a column that holds nothing personal."""
    return orjson.dumps(value).decode()


def parse(text: str) -> Any:
    """The value of such a column."""
    return orjson.loads(text)
