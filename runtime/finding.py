"""Whom or which message somebody means: a user's id or a former one, a phone, openid or other identity, a message's or a vendor's key."""

from dataclasses import dataclass, field

from channels.sms.numbers import mobile_number
from runtime.store import SqlStore

MOST_ALIKE = 8
SHORTEST = 3  # characters that a user's id may be shortened to


@dataclass
class Meant:
    """`user_id` is empty where nobody, or more than one, is meant; then `alike` are those who may be. `by` says how she was found:
    id, former, beginning, or the kind of identity. `messages` are keys of the ledger.
    """

    asked: str
    user_id: str = ""
    by: str = ""
    alike: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


def meant_by(store: SqlStore, asked: str) -> Meant:
    """Look in this order: a user's id, identities, a message's key or its vendor's id, the beginning of an id, a vendor's key."""
    kind, colon, value = asked.partition(":")
    values = dict.fromkeys([asked, *([value] if colon else []), *([number] if (number := mobile_number(asked)) else [])])
    with store.database.reading() as tx:
        enquiries = store.enquiries
        survivor = store.identity.survivors(tx, [asked]).get(asked)
        if survivor is not None:
            return Meant(asked, survivor, "former")
        if enquiries.is_known(tx, asked):
            return Meant(asked, asked, "id")
        owners = [o for o in enquiries.with_identity(tx, list(values)) if not colon or o[0] == kind or o[1] == asked]
        users = sorted({user_id for _, _, user_id in owners})
        if len(users) == 1:
            return Meant(asked, users[0], owners[0][0])
        if users:
            return Meant(asked, by=owners[0][0], alike=users[:MOST_ALIKE])
        messages = enquiries.messages_called(tx, asked)
        if messages:
            return Meant(asked, messages=messages)
        alike, text = enquiries.beginning_with(tx, asked, MOST_ALIKE), asked
        if len(alike) == 1 and len(asked) >= SHORTEST:
            return Meant(asked, alike[0], "beginning")
        messages = enquiries.messages_given(tx, asked) if not alike else []
        if messages:
            return Meant(asked, messages=messages)
        while not alike and len(text) > max(SHORTEST, len(asked) // 2):
            text = text[:-1]
            alike = enquiries.beginning_with(tx, text, MOST_ALIKE)
    return Meant(asked, alike=alike)
