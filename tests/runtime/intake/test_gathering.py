"""Requests of one moment are one unit of the writer; each is told its own end."""

import asyncio
from concurrent.futures import Future

from runtime.intake.gathering import Gathering
from runtime.store.arrivals import Arrival
from runtime.store.writer import Closed
from tests.town import NOON, event


class FakeStore:
    """A store that keeps units until the test settles them."""

    def __init__(self):
        self.database = self.arrivals = self
        self.units = []

    def take(self, tx, arrivals):
        raise AssertionError("the test answers itself")

    def submit(self, unit, rank):
        self.units.append((unit, Future()))
        return self.units[-1][1]


def arrival(n):
    return Arrival("shop", NOON, [event("app_opened", NOON, id=f"e{n}")])


async def kept(gathering, *numbers):
    """What each of the requests of one moment is told."""
    waiting = [asyncio.ensure_future(_one(gathering, n)) for n in numbers]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return waiting


async def _one(gathering, number):
    return await gathering.keep(arrival(number))


def test_requests_of_one_moment_are_one_unit_and_each_gets_its_own_answer():
    async def scene():
        store = FakeStore()
        gathering = Gathering(store)
        first = await kept(gathering, 1, 2, 3)
        later = await kept(gathering, 4)
        in_hand = gathering.in_hand
        for (_, future), answer in zip(store.units, ([1, 0, 2], [7]), strict=True):
            future.set_result(answer)
        answers = await asyncio.gather(*first, *later)
        return [[a.events[0].id for a in unit.items] for unit, _ in store.units], in_hand, answers, gathering.in_hand

    units, in_hand, answers, left = asyncio.run(scene())

    assert units == [["e1", "e2", "e3"], ["e4"]]
    assert (in_hand, left) == (4, 0)
    assert answers == [1, 0, 2, 7]


def test_what_costs_one_request_is_told_to_it_alone():
    async def scene():
        store = FakeStore()
        waiting = await kept(Gathering(store), 1, 2)
        store.units[0][1].set_result([1, ValueError("this one")])
        await asyncio.wait(waiting)
        return waiting[0].result(), waiting[1].exception()

    good, bad = asyncio.run(scene())

    assert good == 1
    assert str(bad) == "this one"


def test_what_costs_the_commit_is_told_to_everybody():
    async def scene():
        store = FakeStore()
        gathering = Gathering(store)
        waiting = await kept(gathering, 1, 2)
        store.units[0][1].set_exception(Closed("the store is closed"))
        return await asyncio.gather(*waiting, return_exceptions=True), gathering.in_hand

    told, left = asyncio.run(scene())

    assert [type(error) for error in told] == [Closed, Closed]
    assert left == 0


def test_who_does_not_wait_any_more_takes_nobodys_answer():
    async def scene():
        store = FakeStore()
        gone, waiting = await kept(Gathering(store), 1, 2)
        gone.cancel()
        await asyncio.sleep(0)
        store.units[0][1].set_result([1, 2])
        return await waiting

    assert asyncio.run(scene()) == 2


def test_a_commit_after_the_end_of_the_loop_harms_nobody():
    store = FakeStore()

    async def scene():
        for task in await kept(Gathering(store), 1):
            task.cancel()

    asyncio.run(scene())
    store.units[0][1].set_result([1])

    assert store.units[0][1].exception() is None


def test_on_a_real_store_one_that_cannot_be_kept_costs_itself_only(store):
    async def scene():
        gathering = Gathering(store)
        requests = [Arrival("shop", NOON, [event("app_opened", NOON, id=name, user=f"u-{name}")]) for name in ("a", "torn", "c")]
        requests[1].records.append("not a record")
        return await asyncio.gather(*(gathering.keep(request) for request in requests), return_exceptions=True)

    first, torn, last = asyncio.run(scene())

    assert (first, last) == (1, 1)
    assert isinstance(torn, AttributeError)
    with store.database.reading() as tx:
        assert store.inbox.size(tx) == 2
