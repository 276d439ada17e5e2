"""`journeyd rebuild`: chunk after chunk, here or by the daemon; what it says, and where it may go on."""

import json

import pytest
from sqlalchemy import update

from runtime.rebuilding import Rebuilt, go_through, one_chunk
from runtime.store import open_store
from runtime.store.tables import users
from runtime.ticks import Ticks
from tests.shop import HELLO, Shop, make_folder
from tests.town import NOON, ZONE

NOTHING = {"users": 0, "differing": 0, "renewed": 0, "differences": [], "unreadable": [], "after": ""}


@pytest.fixture
def shop(tmp_path):
    """A shop whose two customers have ordered once each; its daemon is not running."""
    opened = Shop(tmp_path / "shop", HELLO)
    opened.post([{"id": f"e{n}", "type": "order_paid", "user_id": f"u{n}", "data": {"amount": 10}} for n in (1, 2)])
    opened.settle()
    return opened


def spoil(store, user="u2", **columns):
    def write(tx):
        found = store.people.load_users(tx, [user])[user]
        found.profile["a"]["orders_count"] = 9
        store.people.save_users(tx, [found])
        if columns:
            tx.execute(update(users).where(users.c.user_id == user).values(**columns))

    store.database.write(write)


def test_sound_profiles_are_compared_without_a_word(call, shop):
    shop.close()

    code, out, _ = call("rebuild", "--check", "--config", shop.folder)

    assert (code, out) == (0, "2 profiles: 0 differ from their events, 0 still wait for this release\n")


def test_what_differs_is_told_and_exits_1_then_mended_and_exits_0(call, shop):
    spoil(shop.app.store)
    shop.close()
    differing = {**NOTHING, "users": 2, "differing": 1, "after": "u2",
                 "differences": [{"user_id": "u2", "traits": ["orders_count"], "histories": []}]}  # fmt: skip

    checked = call("rebuild", "--check", "--json", "--config", shop.folder)
    said = call("rebuild", "--config", shop.folder)
    again = call("rebuild", "--check", "--json", "--config", shop.folder)

    assert (checked[0], json.loads(checked[1])) == (1, differing)
    assert said[0] == 0
    assert said[1].splitlines() == [
        "u2: orders_count are not what the events say",
        "2 profiles: 1 differed from their events and were made anew, 0 were brought to this release",
    ]
    assert (again[0], json.loads(again[1])) == (0, {**NOTHING, "users": 2, "after": "u2"})


def test_one_user_is_looked_at_alone_and_an_unknown_one_exits_1(call, shop):
    spoil(shop.app.store)
    shop.close()

    assert call("rebuild", "--check", "--user", "u1", "--config", shop.folder)[0] == 0
    assert call("rebuild", "--check", "--user", "u2", "--config", shop.folder)[0] == 1
    code, out, err = call("rebuild", "--user", "nobody", "--config", shop.folder)
    assert (code, out, err) == (1, "", "nobody is known by the id nobody\n")


def test_a_profile_that_cannot_be_read_is_named_and_exits_1(call, shop):
    spoil(shop.app.store, profile="{broken")
    shop.close()

    code, out, _ = call("rebuild", "--config", shop.folder)

    assert (code, out.splitlines()[0]) == (1, "u2: the profile cannot be read; it was left as it is")


def test_it_goes_on_after_a_user(call, shop):
    spoil(shop.app.store, "u1")
    shop.close()

    assert call("rebuild", "--check", "--after", "u1", "--config", shop.folder)[0] == 0


def test_without_a_database_or_a_release_it_says_how_to_make_one(call, tmp_path):
    folder = make_folder(tmp_path / "shop", HELLO)
    code, _, err = call("rebuild", "--config", folder)
    assert (code, "there is no database yet" in err) == (1, True)

    open_store(f"sqlite:///{folder}/data/journeyd.db", ZONE).close()
    code, _, err = call("rebuild", "--config", folder)
    assert (code, "nothing is applied yet" in err) == (1, True)


def test_a_daemon_does_it_on_the_engines_own_thread_before_a_tick(shop):
    spoil(shop.app.store)
    ticks = Ticks(shop.app)  # not started: the test ticks

    asked = ticks.between(lambda: one_chunk(shop.app.engine, {}, NOON))
    failing = ticks.between(lambda: 1 // 0)
    assert not asked.done()
    ticks._engine(NOON)
    ticks._engine(NOON)

    assert [d["user_id"] for d in asked.result(0)["differences"]] == ["u2"]
    assert isinstance(failing.exception(0), ZeroDivisionError)
    shop.close()


def test_after_the_daemon_has_stopped_an_errand_is_told_so(shop):
    ticks = Ticks(shop.app)
    ticks.start()
    ticks.stop()

    refused = ticks.between(lambda: 1)

    assert "stops" in str(refused.exception(timeout=1))
    shop.close()


def test_chunks_follow_each_other_until_all_are_done():
    answers = [
        {"users": 2, "renewed": 1, "differences": [{"user_id": "a"}], "unreadable": [], "after": "b", "done": False, "left": 3},
        {"users": 1, "renewed": 0, "differences": [], "unreadable": ["c"], "after": "c", "done": True, "left": 1},
    ]
    asked, bar, rebuilt = [], [], Rebuilt()

    def answer(request):
        asked.append(request["after"])
        return answers[len(asked) - 1]

    problem = go_through(rebuilt, answer, {}, lambda done, total: bar.append((done, total)))

    assert (problem, asked, bar) == ("", ["", "b"], [(2, 3), (3, 3)])
    assert (rebuilt.users, rebuilt.renewed, rebuilt.differing, rebuilt.unreadable) == (3, 1, 1, ["c"])


def test_what_goes_wrong_on_the_way_ends_it_where_it_was():
    rebuilt = Rebuilt(after="b")

    assert go_through(rebuilt, lambda _: {"error": "gone"}, {}, lambda *_: None) == "gone"
    assert (rebuilt.after, rebuilt.done) == ("b", False)
