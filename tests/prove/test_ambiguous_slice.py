"""A few hundred ambiguous attempts in every run of the tests, and planted bugs that the audit must catch."""

from itertools import count

import pytest
from sqlalchemy import select

from channels.message import Rejected, Unknown
from runtime.deliver import Delivery
from runtime.store.tables import messages
from tests.prove.ambiguous import Run, Vendor

CASES = 300


def audited(**keys):
    run = Run(CASES, **keys)
    try:
        return run.go()
    finally:
        run.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_what_nobody_can_tell_is_settled_to_the_truth(seed):
    audit = audited(seed=seed)

    print("\n".join(audit.lines()))
    assert audit.broken() == []
    assert sum(audit.cases.values()) == CASES
    assert sum(audit.interrupted.values()) > CASES / 2


class FreshKeys(Delivery):
    """Planted: a repeat has another key."""

    fresh = count()

    def _vendor_key(self, row, before):
        return f"{super()._vendor_key(row, before)}-{next(self.fresh)}"


class Deaf(Delivery):
    """Planted: what a sender tells after another has taken over is dropped."""

    def finish(self, tx, outcomes, now, done):
        sending = set(tx.execute(select(messages.c.key, messages.c.token).where(messages.c.state == "SENDING")).all())
        super().finish(tx, [(a, o) for a, o in outcomes if (a.row.key, a.row.token) in sending], now, done)


class DeafToReceipts(Delivery):
    """Planted: receipts are kept and joined to nothing."""

    def __init__(self, *args, **keys):
        super().__init__(*args, **keys)
        object.__setattr__(self.settling, "receipt", lambda *_: False)


class Gullible(Vendor):
    """Planted: what is not found (yet) is taken for proof that it is not there."""

    def look_up(self, message):
        found = super().look_up(message)
        return Rejected("not_found") if isinstance(found, Unknown) else found


class Forgetful(Vendor):
    """Planted: the vendor forgets keys at once, which its adapter does not know."""

    def _take(self, message, truth, dice):
        self.keys.clear()
        super()._take(message, truth, dice)


class Repeating(Delivery):
    """Planted: a channel without any protection is tried again."""

    def resolve_one(self, row, now, done):
        if row.lane == "wechat":
            self.store.database.write(lambda tx: self.store.ledger.resolve(tx, row, "PENDING", "again", now))
        else:
            super().resolve_one(row, now, done)


class Forgetting(Delivery):
    """Planted: the lifetime of a key is not asked for."""

    def __init__(self, *args, **keys):
        super().__init__(*args, **keys)
        settle = self.settling.settle
        object.__setattr__(self.settling, "settle", lambda tx, row, attempt, found, begun, now: settle(tx, row, attempt, found, now, now))

    def _forgotten(self, tx, row, now):
        return False


@pytest.mark.parametrize(("keys", "lane", "caught"), [
    ({"delivery": FreshKeys}, "push", "K, a day: "), ({"vendor": Forgetful}, "push", "K, a day: "), ({"vendor": Gullible}, "sms", "query: "),
    ({"delivery": Deaf}, "wechat", "M: "), ({"delivery": DeafToReceipts}, "wechat", "M: "), ({"delivery": Repeating}, "wechat", "M: "),
    ({"delivery": Forgetting}, "wecom", "K, a minute: "),
], ids=["another key", "forgetful vendor", "not found as proof", "late answer dropped", "receipt dropped", "repeat without protection", "lifetime ignored"])  # fmt: skip
def test_a_planted_bug_is_caught(keys, lane, caught):
    broken = audited(lanes=[lane], **keys).broken()

    assert any(line.startswith(caught) for line in broken), broken
