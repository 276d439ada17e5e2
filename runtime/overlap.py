"""Whether the events of a file came before from another source: under another name each of them would count a second time."""

from collections import Counter
from collections.abc import Collection, Iterator
from itertools import islice
from zoneinfo import ZoneInfo

from journeys.audience import Audience
from runtime.eventfile import FAR, Shape, event_item
from runtime.intake.items import parse_event
from runtime.rowfile import RowFile
from runtime.state import Event
from runtime.store import SqlStore

MOST_ROWS = 1000  # of the beginning of a file: whoever exports the orders of a shop has its ids in all of them


def known_elsewhere(
    store: SqlStore, file: RowFile, shape: Shape, audience: Audience, zone: ZoneInfo, sources: Collection[str]
) -> Counter[str]:
    """How many of the file's first events each of these sources has brought already: the same id and type, and the same user or time.

    Two systems may both count from 1; that alone makes no event of one the other's.
    """
    met = {event.id: event for event in islice(_first_events(file, shape, audience, zone), MOST_ROWS)}
    with store.database.reading() as tx:
        known = store.imports.known(tx, sources, list(met))
    same = (e for e in known if e.type == met[e.id].type and (e.user_id == met[e.id].user_id or e.time == met[e.id].time))
    return Counter(e.source for e in same)


def _first_events(file: RowFile, shape: Shape, audience: Audience, zone: ZoneInfo) -> Iterator[Event]:
    """Those of the first rows that have an id of their own."""
    for row in islice(file, MOST_ROWS):
        if row.problem:
            continue
        item = event_item(row, shape, audience, is_csv=file.is_csv)
        if item.get("id") is None:
            continue
        event = parse_event(item, audience, zone, FAR, "", known=False)
        if isinstance(event, Event):
            yield event
