"""Every state that the ledger protocol can come to, per guarantee; and the bugs that looking at all of them catches."""

from collections import deque
from dataclasses import dataclass

import pytest

from tests.runtime.protocol_model import ARROWS, FINAL, KEY, NEITHER, PROVING_QUERY, QUERY, Protocol, State

CLAIMS = 4
STATES = {KEY: 73_813, QUERY: 5_527, PROVING_QUERY: 16_282, NEITHER: 3_597}  # change them only with the protocol

INVARIANTS = {
    "accepted at most once": lambda s: sum(s.taken) <= 1,
    "bytes leave only inside an intent": lambda s: not s.naked,
    "at most one attempt without an end": lambda s: len(s.open) <= 1,
    "SENDING is one attempt, its own": lambda s: (s.row == "SENDING") == (s.open == (s.token,)),
    "nothing is opened after a cancellation": lambda s: not s.opened_after_cancel,
    "nothing is opened after a yes was heard": lambda s: not s.opened_after_yes,
    "a yes that was heard is kept": lambda s: not s.heard or s.row == "ACCEPTED",
    "no false ACCEPTED": lambda s: s.row != "ACCEPTED" or any(s.taken),
    "no false no": lambda s: s.row not in ("REJECTED", "SUPPRESSED", "EXPIRED") or not any(s.taken),
    "what may have arrived is never called a no": lambda s: s.ambiguous >= 0 and (s.row != "UNKNOWN" or s.ambiguous > 0),
}
CLIMBING, STUCK = "states only climb", "every state has a way to a final one without its worker"


@dataclass
class Explored:
    """All states of a protocol, and per broken invariant the shortest story that breaks it."""

    states: int
    arrows: set[tuple[str, str]]
    broken: dict[str, list[str]]


def explore(protocol: Protocol) -> Explored:
    """Breadth first, so that the first story of each invariant is a shortest one."""
    start = State()
    came: dict[State, tuple[State, str] | None] = {start: None}
    broken: dict[str, State] = {}
    arrows: set[tuple[str, str]] = set()
    alone: dict[State, list[State]] = {}  # the steps that need no worker, backwards
    queue = deque([start])
    while queue:
        s = queue.popleft()
        for name, holds in INVARIANTS.items():
            if name not in broken and not holds(s):
                broken[name] = s
        for label, after in protocol.steps(s):
            if s.row != after.row:
                arrows.add((s.row, after.row))
                if (s.row, after.row) not in ARROWS:
                    broken.setdefault(CLIMBING, s)
            if label.startswith(("T2", "T7", "T9", "T11")):
                alone.setdefault(after, []).append(s)
            if after not in came:
                came[after] = (s, label)
                queue.append(after)
    stuck = came.keys() - _reaching(alone, [s for s in came if s.row in FINAL])
    if stuck:
        broken[STUCK] = next(s for s in came if s in stuck)
    return Explored(len(came), arrows, {name: _story(came, s) for name, s in broken.items()})


def _reaching(before: dict[State, list[State]], goals: list[State]) -> set[State]:
    found, todo = set(goals), list(goals)
    while todo:
        for s in before.get(todo.pop(), ()):
            if s not in found:
                found.add(s)
                todo.append(s)
    return found


def _story(came: dict[State, tuple[State, str] | None], s: State) -> list[str]:
    labels = []
    while (step := came[s]) is not None:
        s, label = step
        labels.append(label)
    return labels[::-1]


# --- the promises, kept and broken

ONCE, NO_FALSE_NO, KEPT = "accepted at most once", "no false no", "a yes that was heard is kept"
INSIDE, ONE_OPEN = "bytes leave only inside an intent", "at most one attempt without an end"
PLANTED = [
    ("send, then record", NEITHER, {INSIDE, ONCE, NO_FALSE_NO}),
    ("send, then record", KEY, {INSIDE}),
    ("no token on writes", KEY, {ONE_OPEN}),
    ("no token on writes", PROVING_QUERY, {ONE_OPEN, ONCE, NO_FALSE_NO}),
    ("late answer dropped", KEY, {KEPT, "nothing is opened after a yes was heard"}),
    ("late answer dropped", NEITHER, {KEPT}),
    ("fall-through on unknown", NEITHER, {ONCE}),
    ("fall-through on unknown", KEY, {ONCE}),
    ("fall-through beside an unknown attempt", KEY, {ONCE}),
    ("lease end makes it pending", NEITHER, {ONCE, NO_FALSE_NO}),
    ("lease end makes it pending", QUERY, {ONCE, NO_FALSE_NO}),
    ("not found taken as proof", QUERY, {ONCE, NO_FALSE_NO}),
    ("asked before the lag", PROVING_QUERY, {ONCE, NO_FALSE_NO}),
    ("cancel suppresses what is being sent", NEITHER, {NO_FALSE_NO, CLIMBING}),
    ("cancel forgotten at T3", NEITHER, {"nothing is opened after a cancellation"}),
]


@pytest.mark.parametrize("guarantee", STATES)
def test_no_state_of_the_protocol_breaks_a_promise(guarantee):
    explored = explore(Protocol(guarantee, CLAIMS))

    print(f"{guarantee}: {explored.states:,} states, {CLAIMS} claims, 2 workers, 2 positions, 0 broken promises")
    assert explored.broken == {}
    assert explored.states == STATES[guarantee]


def test_every_arrow_is_taken_by_some_guarantee():
    taken = set().union(*(explore(Protocol(guarantee, 2)).arrows for guarantee in STATES))

    assert taken == ARROWS


@pytest.mark.parametrize(("bug", "guarantee", "promises"), PLANTED, ids=[f"{bug} ({guarantee})" for bug, guarantee, _ in PLANTED])
def test_a_planted_bug_is_caught_by_the_promise_that_it_breaks(bug, guarantee, promises):
    explored = explore(Protocol(guarantee, 3, bug))

    for promise in promises:
        story = explored.broken.get(promise, [])
        print(f"{bug} ({guarantee}) breaks “{promise}” in {len(story)} steps: {' → '.join(story)}")
        assert story, f"not caught: {promise}"
