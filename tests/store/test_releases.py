"""Releases keep the version of what did not change; populations are entered once."""

import pytest

from runtime.store.releases import NewVersion
from tests.town import DAY, HOUR, NOON


def apply(store, *journeys, now=NOON, audience="a", follows=None):
    return store.database.write(
        lambda tx: store.releases.add(
            tx,
            follows=store.releases.current_id(tx) if follows is None else follows,
            digest="d",
            audience=audience,
            audience_digest=f"digest of {audience}",
            author="me",
            message="why",
            now=now,
            journeys=[NewVersion(j, f"digest of {source}", source, {}) for j, source in journeys],
            language=1,
        )
    )


def test_before_the_first_release_there_is_none(store):
    with store.database.reading() as tx:
        assert store.releases.current(tx) is None
        assert store.releases.current_id(tx) == 0


def test_a_release_keeps_every_source_and_who_applied_it(store):
    made = apply(store, ("b", "B"), ("a", "A"))

    with store.database.reading() as tx:
        current = store.releases.current(tx)
    assert current == made
    assert [(v.journey, v.number, v.source) for v in current.versions] == [("a", 1, "A"), ("b", 1, "B")]
    assert (current.author, current.message, current.applied_at, current.audience) == ("me", "why", NOON, "a")


def test_an_unchanged_journey_keeps_its_version_and_a_changed_one_gets_the_next(store):
    first = apply(store, ("a", "A"), ("b", "B"))
    second = apply(store, ("a", "A"), ("b", "B2"), now=NOON + 1)

    assert second.versions[0] == first.versions[0]
    assert (second.versions[1].number, second.versions[1].source) == (2, "B2")
    with store.database.reading() as tx:
        assert store.releases.version(tx, first.versions[1].id).source == "B"
        assert store.releases.version(tx, 999) is None
        assert store.releases.current_id(tx) == second.id


def test_a_deleted_journey_is_gone_from_the_release_but_its_version_is_kept(store):
    first = apply(store, ("a", "A"), ("b", "B"))
    second = apply(store, ("a", "A"))

    assert [v.journey for v in second.versions] == ["a"]
    with store.database.reading() as tx:
        assert store.releases.version(tx, first.versions[1].id).journey == "b"


def test_going_back_to_an_older_text_is_that_version_again(store):
    first = apply(store, ("a", "A"))
    apply(store, ("a", "A2"))

    assert apply(store, ("a", "A")).versions == first.versions
    assert apply(store, ("a", "A3")).versions[0].number == 3


def test_of_two_releases_on_top_of_the_same_one_the_second_is_not_written(store):
    first = apply(store, ("a", "A"))
    second = apply(store, ("a", "A2"), follows=first.id)

    assert apply(store, ("a", "A3"), follows=first.id) is None
    with store.database.reading() as tx:
        assert store.releases.current(tx) == second
        assert [r.id for r in store.releases.history(tx, 10)] == [second.id, first.id]
        assert [v.source for v in store.releases.versions_of(tx, "a")] == ["A", "A2"]


def test_a_release_that_fails_half_way_leaves_nothing(store):
    apply(store, ("a", "A"))

    def crash(tx):
        store.releases.add(
            tx,
            follows=1,
            digest="d",
            audience="",
            audience_digest="",
            author="",
            message="",
            now=NOON,
            journeys=[NewVersion("a", "x", "X", {})],
            language=1,
        )
        raise RuntimeError("the process dies")

    with pytest.raises(RuntimeError):
        store.database.write(crash)

    with store.database.reading() as tx:
        assert store.releases.current(tx).versions[0].source == "A"


def add(store, fact="f1", *, journey="a", kind="schedule", at=NOON):
    return store.database.write(lambda tx: store.releases.add_population(tx, journey, fact, kind, at))


def due(store, now):
    with store.database.batch() as batch:
        return store.releases.due_population(batch.connection, now)


def test_a_population_is_started_once_per_fact(store):
    assert [add(store), add(store), add(store, "f2"), add(store, journey="b")] == [True, False, True, True]


def test_a_population_is_worked_off_from_where_it_stopped(store):
    add(store)
    assert due(store, NOON - 1) is None

    first = due(store, NOON)
    store.database.write(lambda tx: store.releases.save_population(tx, first, cursor="u5", next_at=NOON + HOUR, done_at=None))

    assert due(store, NOON + HOUR - 1) is None
    again = due(store, NOON + HOUR)
    assert (again.cursor, again.next_at, again.at) == ("u5", NOON + HOUR, NOON)
    store.database.write(lambda tx: store.releases.save_population(tx, again, cursor="z", next_at=NOON, done_at=NOON + HOUR))
    assert due(store, NOON + DAY) is None


def test_the_next_population_and_the_last_fire_are_known(store):
    with store.database.reading() as tx:
        assert (store.releases.next_population(tx), store.releases.last_fire(tx, "a")) == (None, None)

    add(store, "f1", at=NOON)
    add(store, "f2", at=NOON + DAY)
    add(store, "f3", kind="at", at=NOON + 2 * DAY)

    with store.database.reading() as tx:
        assert store.releases.next_population(tx) == NOON
        assert store.releases.last_fire(tx, "a") == NOON + DAY
