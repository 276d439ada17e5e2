"""Any number of values is one parameter, on both databases."""

import pytest
from sqlalchemy import bindparam, select

from runtime.store.among import among
from runtime.store.tables import inbox, users
from tests.town import NOON

NAMES = ["plain", "it's", 'a "quoted" one', "雪梨 🍐", "100%", "a,b", "{x}", "back\\slash", "7"]


def found(store, statement, **given):
    with store.database.reading() as tx:
        return sorted(tx.execute(statement, given).scalars())


@pytest.fixture
def known(store):
    """A store with a user, and a note, of each name."""
    store.database.write(lambda tx: [store.inbox.add_note(tx, name, "user", {}, NOON) for name in NAMES])
    return store


OF_USERS = select(users.c.user_id).where(among(users.c.user_id, "ids"))
OF_NOTES = select(inbox.c.id).where(among(inbox.c.id, "ids"))


@pytest.mark.parametrize("asked", [[], ["plain"], NAMES, ["nobody", "雪梨 🍐"], [f"u{n}" for n in range(40_000)] + ["plain"]])
def test_texts_are_found_whatever_is_in_them_and_however_many_are_asked_for(known, asked):
    assert found(known, OF_USERS, ids=asked) == sorted(set(asked) & set(NAMES))


def test_numbers_are_found_and_any_iterable_will_do(known):
    everything = found(known, OF_NOTES, ids=range(1, 10_000))

    assert len(everything) == len(NAMES)
    assert found(known, OF_NOTES, ids={everything[0], 2**62}) == [everything[0]]
    assert found(known, OF_NOTES, ids=dict.fromkeys(everything[1:])) == everything[1:]


def test_it_stands_beside_other_conditions(known):
    some = select(users.c.user_id).where(among(users.c.user_id, "ids"), users.c.user_id != bindparam("but"))

    assert found(known, some, ids=NAMES[:3], but="plain") == sorted(NAMES[1:3])


def test_the_index_answers(sqlite_store):
    plan = f"EXPLAIN QUERY PLAN {OF_USERS.compile(sqlite_store.database.engine)}"
    with sqlite_store.database.reading() as tx:
        first = tx.exec_driver_sql(plan, {"ids": "[]"}).first()

    assert first[3].startswith("SEARCH users USING")
