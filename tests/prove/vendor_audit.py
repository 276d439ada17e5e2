"""Compare the ledger with what the vendors took, and say in numbers what a kill loop did.

lost            not final, never planned, or ABANDONED without an attempt that was interrupted
double          the vendor took the same message (by the user and step that its content shows) more than once
contradiction   ACCEPTED or DELIVERED, and the vendor has nothing; REJECTED, SUPPRESSED or EXPIRED, and it has it
unsettled       ABANDONED on a channel that can be asked (or that takes a key), and the vendor has it
surprise        anything else that nothing in this town explains: a refusal, a request that a vendor found malformed
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.prove import journal
from tests.prove.kill_loop import _reading
from tests.prove.vendor_kill_loop import Death, Loop
from tests.prove.vendor_town import STEPS
from tests.prove.vendors import Truth

VENDOR = {"push": "jpush", "sms": "aliyun", "wechat": "wechat", "grant:coupon": "benefit"}
GUARANTEE = {"push": "K", "sms": "query", "wechat": "M", "grant:coupon": "K"}
FINAL = ("ACCEPTED", "DELIVERED", "UNDELIVERED", "REJECTED", "SUPPRESSED", "EXPIRED", "ABANDONED")
ARRIVED = ("ACCEPTED", "DELIVERED", "UNDELIVERED")
REFUSED = ("REJECTED", "SUPPRESSED", "EXPIRED")
FAILINGS = ("lost", "double", "contradiction", "unsettled", "surprise")
# WeChat answers a person whose last message is still on its way, or a token that another daemon's has replaced: both are repeated.
EXPECTED_REFUSALS = ("wechat: 43108", "wechat: 40001")

ROWS = "SELECT key, user_id, step, lane, state, reason FROM messages"
OPEN_ATTEMPTS = "SELECT message_key, count(*) FROM attempts WHERE state IN ('SENDING', 'UNKNOWN') GROUP BY message_key"


@dataclass
class Audit:
    """What was found, by kind of failing; nothing when all is well."""

    states: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in FAILINGS})
    abandoned: int = 0
    interrupted: int = 0
    attempts: int = 0
    arrived_unknown: int = 0  # of the ABANDONED ones on a channel of which nobody can tell: what doubt was right to fear
    budget: str = ""

    @property
    def failings(self) -> list[str]:
        return [f"{kind}: {text}" for kind, texts in self.found.items() for text in texts]


def audit(loop: Loop, truth: Truth) -> Audit:
    """Every message of the ledger against every message that a vendor took."""
    result = Audit()
    with _reading(loop.url) as ask:
        rows = list(ask(ROWS))
        interrupted = dict(ask(OPEN_ATTEMPTS))
        result.attempts = next(iter(ask("SELECT count(*) FROM attempts")))[0]
        reserved, issued, total = next(iter(ask("SELECT reserved, issued, total FROM budgets WHERE benefit = 'coupon'")))
        alive = next(iter(ask("SELECT count(*) FROM enrolments WHERE status <> 2")))[0]
    result.interrupted = sum(interrupted.values())
    seen: dict[str, set[str]] = {vendor: set() for vendor in truth.took}
    state_of: dict[str, str] = {}
    for key, user_id, step, lane, state, reason in rows:
        mark, vendor = f"{user_id}/{step}", VENDOR[lane]
        state_of[mark] = state
        result.states[lane, state] += 1
        seen[vendor].add(mark)
        _judge(result, (mark, lane, state, str(reason)), truth.took[vendor][mark], interrupted.get(key, 0))
    for vendor, marks in truth.took.items():
        strangers = [mark for mark in marks if mark not in seen[vendor]]
        result.found["contradiction"] += [f"{vendor} took {mark}, which the ledger does not know" for mark in strangers]
        result.found["double"] += [f"{vendor} took {mark} {n} times" for mark, n in marks.items() if n > 1]
    for number in range(loop.users):
        wanted = [step for step in STEPS if step != "thanks" or state_of.get(f"u{number}/gift") in ARRIVED]
        result.found["lost"] += [f"u{number}/{step} was never planned" for step in wanted if f"u{number}/{step}" not in state_of]
    if alive:
        result.found["lost"].append(f"{alive} enrolments did not end")
    grants = result.states["grant:coupon", "ACCEPTED"], result.states["grant:coupon", "ABANDONED"]
    result.budget = f"{issued} issued + {reserved} reserved of {total}"
    if (issued, reserved) != grants:
        result.found["contradiction"].append(f"the budget says {result.budget}; the ledger has {grants} grants ACCEPTED and ABANDONED")
    tracebacks = [line for line in (loop.folder / "run.log").read_text().splitlines() if "Traceback" in line]
    result.found["surprise"] += [f"the log has {line[-300:]}" for line in tracebacks]
    result.found["surprise"] += [f"a daemon ended on its own, with {code}" for slot in loop.slots for code in slot.crashes]
    result.found["surprise"] += [f"refused by {why}" for why in truth.refused if not why.startswith(EXPECTED_REFUSALS)]
    return result


def _judge(result: Audit, row: tuple[str, str, str, str], times: int, interrupted: int) -> None:
    mark, lane, state, reason = row
    text = f"{mark} on {lane} is {state} ({reason})"
    if state not in FINAL:
        result.found["lost"].append(f"{text}: not final")
    elif state in ARRIVED and not times:
        result.found["contradiction"].append(f"{text}: the vendor has nothing")
    elif state in REFUSED:
        kind = "contradiction" if times else "surprise"
        result.found[kind].append(f"{text}: the vendor has {'it' if times else 'nothing; but nothing here is refused'}")
    elif state == "ABANDONED":
        result.abandoned += 1
        result.arrived_unknown += GUARANTEE[lane] == "M" and times > 0
        if not interrupted:
            result.found["lost"].append(f"{text}: no attempt was interrupted")
        if times and GUARANTEE[lane] != "M":
            result.found["unsettled"].append(f"{text}: the vendor has it")


# --- how soon the work of the dead was taken up


@dataclass
class Resumed:
    """Seconds until the first of a dead daemon's rows moved on: counted from the death or the restart, later kills included, and
    from the start of the life that moved it. `each`: until each row did, by lane; `never` counts rows that did not.
    """

    first: list[float] = field(default_factory=list)
    within_a_life: list[float] = field(default_factory=list)
    each: dict[str, list[float]] = field(default_factory=dict)
    never: int = 0


def resumed(deaths: list[Death], folder: Path, lane_of: dict[str, str]) -> Resumed:
    """By the journals. A row has moved on when it was begun anew or an outcome was recorded, by another life than the dead one."""
    moves = journal.moves(folder)
    result = Resumed()
    for death in deaths:
        times: list[tuple[float, float]] = []
        for key in death.sending | death.claimed:
            after = [(at, began) for at, pid, began in moves.get(key, []) if at > death.at and (pid != death.pid or death.zombie)]
            if not after:
                result.never += 1
                continue
            at, began = after[0]
            times.append((max(at - death.since, 0) / 1e9, max(at - max(began, death.since), 0) / 1e9))
            result.each.setdefault(lane_of.get(key, "?"), []).append(times[-1][0])
        if times:
            result.first.append(min(times)[0])
            result.within_a_life.append(min(times)[1])
    for values in (result.first, result.within_a_life, *result.each.values()):
        values.sort()
    return result


def percentile(values: list[float], share: float) -> float:
    return values[min(int(len(values) * share), len(values) - 1)] if values else float("nan")


# --- in words


@dataclass
class Summary:
    """The numbers of one loop, and the lines that say them."""

    name: str
    kills: int
    zombies: int
    inside: int
    audit: Audit
    resumed: Resumed  # of the kills that no other kill followed before
    text: str


def summarise(name: str, loop: Loop, truth: Truth, found: Audit) -> Summary:
    """One honest paragraph."""
    kills = [d for d in loop.deaths if not d.zombie]
    zombies = [d for d in loop.deaths if d.zombie]
    inside = sum(bool(d.sending) for d in kills)
    with _reading(loop.url) as ask:
        lane_of = dict(ask("SELECT key, lane FROM messages"))
    after_kills, after_stops = (resumed(deaths, loop.journal, lane_of) for deaths in (kills, zombies))
    in_flight = sum(len(d.sending) for d in kills)
    counts = "; ".join(
        f"{lane} ({GUARANTEE[lane]}) " + ", ".join(f"{n} {state}" for (its, state), n in sorted(found.states.items()) if its == lane)
        for lane in VENDOR
    )
    lanes = ", ".join(f"{lane} {percentile(t, 0.5):.1f}/{percentile(t, 0.99):.1f}" for lane, t in sorted(after_kills.each.items()))
    since = "the restart" if loop.daemons == 1 else "the kill"
    calm = resumed([death for death in kills if death.undisturbed], loop.journal, lane_of)
    calm_first, whole, life = (
        f"{len(v)} kills " + " ".join(f"{percentile(v, share):.1f}" for share in (0.5, 0.99, 1))
        for v in (calm.first, after_kills.first, after_kills.within_a_life)
    )
    stopped = sum(bool(d.sending) for d in zombies), sum(len(d.sending) for d in zombies)
    failings = ", ".join(f"{kind} {len(found.found[kind])}" for kind in FAILINGS)
    lines = [
        f"{name}: {len(kills)} SIGKILLs and {len(zombies)} SIGSTOP zombies of {loop.stopped:.0f} s in {loop.seconds:.0f} s on {loop.daemons} daemon(s)",
        f"  {loop.users} users, {sum(found.states.values())} messages and grants, {found.attempts} attempts: {counts}",
        f"  between intent and outcome: {inside} of {len(kills)} kills ({inside / max(len(kills), 1):.0%}), {in_flight} attempts in flight in them",
        f"  zombies: {stopped[0]} of {len(zombies)} stopped between intent and outcome, {stopped[1]} attempts in flight in them",
        f"  {failings}",
        f"  ABANDONED {found.abandoned} of {found.interrupted} attempts whose end nobody told; {found.arrived_unknown} of these had arrived; {found.budget}",
        f"  first work of the dead taken up again, p50 p99 longest in seconds: from {since}, nobody killed meanwhile: {calm_first}",
        f"    from {since}, or the start of the life that did it: {life}; from {since}, further kills included: {whole}",
        f"  each row left, p50/p99 by lane: {lanes}; never moved {after_kills.never}",
        f"  vendors' faults: {truth.struck}; {loop.poster.retries} posts repeated",
    ]
    if zombies:
        p50, p99 = (percentile(after_stops.first, share) for share in (0.5, 0.99))
        lines.append(f"  zombies' work moved on after the stop: p50 {p50:.1f} s, p99 {p99:.1f} s")
    lines += [f"    {text}" for text in found.failings[:15]]
    return Summary(name, len(kills), len(zombies), inside, found, calm, "\n".join(lines))


def prove(loop: Loop, name: str, kills: int, zombies: int, patience: float) -> Summary:
    """The whole loop: kill, let it finish, compare."""
    with loop:
        loop.kill_often(kills, zombies)
        loop.finish(patience)
        truth = loop.vendors.truth()
        return summarise(name, loop, truth, audit(loop, truth))
