"""Bugs that the kill loop must catch. Each is put into one watched process by wrapping, chosen by an argument; the code stays as it is.

`send_then_record`: the intent is written together with the outcome, after the vendor was called, as a program without a ledger does.
`no_token`: a write asks neither whose token it is nor in which state the message stands: whoever comes last wins.
`late_answer_dropped`: a yes counts only while its own attempt is SENDING; what a look-up finds of an UNKNOWN is thrown away.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import update

from channels.message import Unknown
from runtime.app import App
from runtime.store.tables import messages


def send_then_record(app: App) -> None:
    """Nothing durable before the first byte."""
    ledger, delivery = app.store.ledger, app.delivery
    intend, finish = ledger.intend, delivery.finish
    meant: dict[str, tuple[Any, ...]] = {}

    def intend_nothing(tx: Any, intents: Sequence[Any], *when: Any) -> list[Any]:
        meant.update({intent.row.key: (intent, when) for intent in intents})
        return list(intents)

    def record_all(tx: Any, outcomes: Any, *args: Any) -> None:
        for attempt, _ in outcomes:
            intent, when = meant.pop(attempt.row.key)
            intend(tx, [intent], *when)
        finish(tx, outcomes, *args)

    ledger.intend, delivery.finish = intend_nothing, record_all  # type: ignore[method-assign]


def no_token(app: App) -> None:
    """`UPDATE … WHERE key = …` and nothing more: made so by first setting what the compare-and-set would compare."""
    ledger = app.store.ledger
    intend, move, unknown = ledger.intend, ledger._move, ledger.unknown

    def forget(tx: Any, row: Any, state: str) -> None:
        tx.execute(update(messages).where(messages.c.key == row.key).values(token=row.token, state=state))

    def intend_anyway(tx: Any, intents: Sequence[Any], *when: Any) -> list[Any]:
        for intent in intents:
            forget(tx, intent.row, "CLAIMED")
            attempts = tx.execute(
                update(messages).where(messages.c.key == intent.row.key).values(attempts=messages.c.attempts).returning(messages.c.attempts)
            ).scalar_one()
            object.__setattr__(intent.row, "attempts", attempts)  # the number of an attempt stays unique
        return intend(tx, intents, *when)

    def move_anyway(tx: Any, row: Any, from_state: str, **values: Any) -> bool:
        forget(tx, row, from_state)
        return move(tx, row, from_state, **values)

    def unknown_anyway(tx: Any, row: Any, *args: Any) -> bool:
        forget(tx, row, "SENDING")
        return unknown(tx, row, *args)

    ledger.intend, ledger._move, ledger.unknown = intend_anyway, move_anyway, unknown_anyway  # type: ignore[method-assign]


def late_answer_dropped(app: App) -> None:
    """Only the sender's own answer, in time, is believed."""
    ledger, settling = app.store.ledger, app.delivery.settling
    accept, settle = ledger._accept, settling.settle

    def in_time(tx: Any, rows: Sequence[Any], *more: Any) -> int:
        standing = [
            (row, reference)
            for row, reference in rows
            if tx.execute(
                update(messages)
                .where(messages.c.key == row.key, messages.c.token == row.token, messages.c.state == "SENDING")
                .values(token=messages.c.token)
            ).rowcount
        ]
        return accept(tx, standing, *more) if standing else 0

    def settle_deaf(tx: Any, row: Any, attempt: Any, found: Any, *args: Any) -> str:
        return settle(tx, row, attempt, None if found is None else Unknown("not listened to"), *args)

    def receipt_deaf(*args: Any, **kwargs: Any) -> bool:
        return False

    ledger._accept, ledger.delivery_proven = in_time, receipt_deaf  # type: ignore[method-assign, assignment]
    object.__setattr__(settling, "settle", settle_deaf)


BUGS: dict[str, Callable[[App], None]] = {f.__name__: f for f in (send_then_record, no_token, late_answer_dropped)}
