"""The ledger protocol as a small machine, all of whose states are looked at: one message, two workers, a vendor with a memory.

Anything may happen at any moment: a crash, the end of a lease, a cancellation, a receipt, an answer that nobody waits for any more,
a worker that wakes up long after it was given up. Arrows T1 to T11 are those of ARCHITECTURE.md. Time is left out: what the real
protocol assumes of it is said where it is assumed (`Query` that proves an absence, below).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

KEY, QUERY, PROVING_QUERY, NEITHER = "key", "query", "proving query", "neither"  # what protects a repeat
POSITIONS = 2  # of the send's list
FINAL = ("ACCEPTED", "REJECTED", "SUPPRESSED", "EXPIRED", "ABANDONED")

# Every arrow there is. ABANDONED is final for us, and still open to proof (T8).
ARROWS = {
    ("PENDING", "CLAIMED"), ("CLAIMED", "PENDING"), ("CLAIMED", "SENDING"), ("SENDING", "ACCEPTED"), ("SENDING", "REJECTED"),
    ("SENDING", "ABANDONED"), ("SENDING", "PENDING"), ("SENDING", "UNKNOWN"), ("UNKNOWN", "ACCEPTED"), ("PENDING", "ACCEPTED"),
    ("CLAIMED", "ACCEPTED"), ("ABANDONED", "ACCEPTED"), ("UNKNOWN", "PENDING"), ("UNKNOWN", "ABANDONED"), ("UNKNOWN", "REJECTED"),
    ("PENDING", "SUPPRESSED"), ("CLAIMED", "SUPPRESSED"), ("PENDING", "ABANDONED"), ("CLAIMED", "ABANDONED"), ("PENDING", "EXPIRED"),
}  # fmt: skip


class Worker(NamedTuple):
    """A sender: idle, claimed, intended (its attempt is durable), waiting (the bytes have left) or answered (not yet recorded)."""

    phase: str = "idle"
    token: int = 0
    position: int = 0
    outcome: str = ""  # yes, no, later, unknown


IDLE = Worker()


class State(NamedTuple):
    """The row, the attempts without an end, who works on it, what is under way, and what the vendor really took."""

    row: str = "PENDING"
    position: int = 0
    token: int = 0
    ambiguous: int = 0  # attempts that nobody can tell the end of
    cancelled: bool = False
    open: tuple[int, ...] = ()  # tokens of attempts in SENDING
    workers: tuple[Worker, Worker] = (IDLE, IDLE)
    resolver: tuple[int, str] | None = None  # the token it asked about, and what it learned
    wire: tuple[tuple[int, int], ...] = ()  # requests on their way: (position, token)
    taken: tuple[int, ...] = (0,) * POSITIONS  # the vendor's truth, per position
    heard: bool = False  # some part of ours has read a yes
    naked: bool = False  # bytes left without a durable attempt
    opened_after_yes: bool = False
    opened_after_cancel: bool = False


@dataclass(frozen=True)
class Protocol:
    """A guarantee, how many claims there may be, and at most one planted bug."""

    guarantee: str
    claims: int = 4
    bug: str = ""

    def steps(self, s: State) -> Iterator[tuple[str, State]]:
        """Everything that may happen next."""
        for index in range(2):
            yield from self._worker(s, index)
        yield from self._vendor(s)
        yield from self._reaper(s)
        yield from self._resolver(s)
        yield from self._cancel(s)

    # --- senders

    def _worker(self, s: State, index: int) -> Iterator[tuple[str, State]]:
        me = s.workers[index]

        def then(worker: Worker, **changes: object) -> State:
            return s._replace(workers=_with(s.workers, index, worker), **changes)  # type: ignore[arg-type]

        if me.phase == "idle":
            if s.row == "PENDING" and s.token < self.claims:
                yield "T1 claim", then(Worker("claimed", s.token + 1, s.position), row="CLAIMED", token=s.token + 1)
            return
        yield "crash", then(IDLE)
        mine = self._mine(s, me)
        if me.phase == "claimed":
            if self.bug == "send, then record":
                yield "bytes leave", then(me._replace(phase="waiting"), wire=_sorted(s.wire, (me.position, me.token)), naked=True)
            elif not (s.row == "CLAIMED" and mine):
                yield "T3 too late", then(IDLE)
            elif s.cancelled and self.bug != "cancel forgotten at T3":
                yield "T3 decided against", then(IDLE, row=_without_effect(s, "SUPPRESSED"))
            else:
                yield "T3 intent", then(
                    me._replace(phase="intended"), row="SENDING", open=_sorted(s.open, me.token),
                    opened_after_yes=s.opened_after_yes or s.heard, opened_after_cancel=s.opened_after_cancel or s.cancelled,
                )  # fmt: skip
        elif me.phase == "intended":
            yield "bytes leave", then(me._replace(phase="waiting"), wire=_sorted(s.wire, (me.position, me.token)))
            yield "no connection", then(me._replace(phase="answered", outcome="later"))
        elif me.phase == "waiting":
            yield "timeout", then(me._replace(phase="answered", outcome="unknown"))
        else:
            yield f"answer recorded: {me.outcome}", self._record(then(IDLE), me)

    def _mine(self, s: State, me: Worker) -> bool:
        return s.token == me.token or self.bug == "no token on writes"

    def _record(self, s: State, me: Worker) -> State:
        """T4 to T7, and T8 for a yes that comes late."""
        mine = self._mine(s, me)
        started = ("SENDING", "CLAIMED") if self.bug == "send, then record" else ("SENDING",)
        if me.outcome == "yes":
            if self.bug == "late answer dropped" and not (mine and s.row == "SENDING"):
                return s._replace(heard=True)
            return _proven(s)
        if me.outcome == "no" and mine and s.row in (*started, "UNKNOWN"):
            return self._refused(s._replace(ambiguous=s.ambiguous - (s.row == "UNKNOWN")), me)
        if me.outcome == "later" and mine and s.row in started:
            return s._replace(row="PENDING", open=_ended(s, me.token))
        if me.outcome == "unknown" and mine and s.row in started:
            if self.bug == "fall-through on unknown" and s.position + 1 < POSITIONS:
                return s._replace(row="PENDING", position=s.position + 1, open=_ended(s, me.token), ambiguous=s.ambiguous + 1)
            return s._replace(row="UNKNOWN", open=_ended(s, me.token), ambiguous=s.ambiguous + 1)
        return s  # somebody else has taken over

    def _refused(self, s: State, me: Worker) -> State:
        """T5, and T5b: the next position opens only when no earlier attempt may have arrived."""
        s = s._replace(open=_ended(s, me.token))
        if s.ambiguous and self.bug != "fall-through beside an unknown attempt":
            return s._replace(row="ABANDONED")
        if s.position + 1 < POSITIONS:
            return s._replace(row="PENDING", position=s.position + 1)
        return s._replace(row=_without_effect(s, "REJECTED"))

    # --- the vendor: takes, refuses, loses; its answer reaches whoever still waits; receipts come when they come

    def _vendor(self, s: State) -> Iterator[tuple[str, State]]:
        for request in dict.fromkeys(s.wire):
            position, token = request
            arrived = s._replace(wire=_minus(s.wire, request))
            yield "request lost", arrived
            if self.guarantee == KEY and s.taken[position]:  # the vendor knows the key: the first answer again
                yield "vendor repeats its yes", _answered(arrived, token, "yes")
                yield "vendor refuses the repeat", _answered(arrived, token, "no")  # vendors check quotas before keys
                continue
            took = arrived._replace(taken=tuple(n + (i == position) for i, n in enumerate(s.taken)))
            yield "vendor takes it", _answered(took, token, "yes")
            yield "vendor refuses", _answered(arrived, token, "no")
            yield "vendor is busy", _answered(arrived, token, "later")
        if any(s.taken) and not s.heard:
            yield "T8 receipt", _proven(s)

    # --- the reaper

    def _reaper(self, s: State) -> Iterator[tuple[str, State]]:
        if s.row == "CLAIMED":
            yield "T2 lease over", s._replace(row="PENDING")
        elif s.row == "SENDING":
            if self.bug == "lease end makes it pending":
                yield "T2 lease over", s._replace(row="PENDING", open=())
            else:
                yield "T7 sender given up", s._replace(row="UNKNOWN", open=(), ambiguous=s.ambiguous + 1)
        elif s.row == "PENDING":
            yield "T11 expired", s._replace(row=_without_effect(s, "EXPIRED"))

    # --- T9: asks the vendor in one moment, writes in another

    def _resolver(self, s: State) -> Iterator[tuple[str, State]]:
        if s.resolver is None:
            if s.row == "UNKNOWN":
                for learned, after in self._look_up(s):
                    yield f"T9 asked: {learned}", after._replace(resolver=(s.token, learned))
            return
        token, learned = s.resolver
        done = s._replace(resolver=None)
        yield "resolver crashes", done
        if learned == "found":
            yield "T9 found", _proven(done)
            return
        if s.row != "UNKNOWN" or not (s.token == token or self.bug == "no token on writes"):
            yield "T9 too late", done
            return
        repeat = done._replace(row="ABANDONED" if s.cancelled else "PENDING")
        if learned == "not found" and (self.guarantee == PROVING_QUERY or self.bug == "not found taken as proof"):
            yield "T9 proven absent", repeat._replace(ambiguous=0)
            return
        if self.guarantee == KEY:
            yield "T9 repeat with the same key", repeat
        yield "T9 nobody can tell", done._replace(row="ABANDONED")

    def _look_up(self, s: State) -> Iterator[tuple[str, State]]:
        """What a query may say. It finds what was taken; "not found" may be said of anything, but where the adapter calls it proof."""
        if self.guarantee not in (QUERY, PROVING_QUERY):
            yield "nothing", s
            return
        yield "nothing", s  # the vendor did not answer while it could be asked
        if s.taken[s.position]:
            yield "found", s
        if self.guarantee == QUERY:
            yield "not found", s
        elif not s.taken[s.position]:
            if self.bug == "asked before the lag":
                yield "not found", s
            elif not any(token == s.token for _, token in s.wire):
                # It proves something only `lag` after the attempt, when no byte of it is on its way or can still leave:
                # a sender that wakes up finds its deadline over, and has not sent.
                yield "not found", s._replace(workers=_canonical(tuple(_past_deadline(w, s.token) for w in s.workers)))

    # --- T10

    def _cancel(self, s: State) -> Iterator[tuple[str, State]]:
        if s.cancelled or s.row in FINAL:
            return
        stopped = ("PENDING", "CLAIMED", "SENDING") if self.bug == "cancel suppresses what is being sent" else ("PENDING", "CLAIMED")
        row = _without_effect(s, "SUPPRESSED") if s.row in stopped else s.row
        yield "T10 cancel", s._replace(cancelled=True, row=row, open=() if row in FINAL else s.open)


def _proven(s: State) -> State:
    """T8: somebody has read a yes; whatever else is going on, the vendor has it."""
    row = s.row if s.row in ("REJECTED", "SUPPRESSED", "EXPIRED") else "ACCEPTED"
    return s._replace(row=row, heard=True, open=())


def _without_effect(s: State, row: str) -> str:
    """A state that says "definitely nothing arrived", or ABANDONED where nobody can say so."""
    return "ABANDONED" if s.ambiguous else row


def _answered(s: State, token: int, outcome: str) -> State:
    """The answer reaches the worker that waits for it, if one still does."""
    waits = [Worker("answered", w.token, w.position, outcome) if (w.phase, w.token) == ("waiting", token) else w for w in s.workers]
    return s._replace(workers=_canonical(tuple(waits)))


def _past_deadline(worker: Worker, token: int) -> Worker:
    """What has not sent by its deadline does not send."""
    return worker._replace(phase="answered", outcome="later") if (worker.phase, worker.token) == ("intended", token) else worker


def _with(workers: tuple[Worker, Worker], index: int, worker: Worker) -> tuple[Worker, Worker]:
    return _canonical((worker, workers[1 - index]))


def _canonical(workers: tuple[Worker, ...]) -> tuple[Worker, Worker]:
    """The workers are alike: which is first makes no difference."""
    first, second = sorted(workers)
    return first, second


def _sorted(items: tuple, item: object) -> tuple:
    return tuple(sorted((*items, item)))


def _minus(items: tuple, item: object) -> tuple:
    left = list(items)
    left.remove(item)
    return tuple(left)


def _ended(s: State, token: int) -> tuple[int, ...]:
    return tuple(t for t in s.open if t != token)
