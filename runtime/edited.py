"""Which release gave each segment the meaning that it has: who is in it by an edit came in, or left, without an edge of hers."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from runtime.catalogue import Catalogue, digests_of
from runtime.state import LogEntry
from runtime.store import SqlStore

MOST_RELEASES = 50  # looked through, the newest first


class Edit(NamedTuple):
    """The release by which a segment means what it does, where an earlier one gave it another meaning."""

    release: int
    at: int


def edits_of(store: SqlStore, tx: Any, catalogue: Catalogue) -> dict[str, Edit]:
    """By segment, its last edit; those that have only ever meant one thing are left out."""
    now, known = catalogue.audience.segment_digests, dict[str, Mapping[str, str]]()
    newest = [row for row in reversed(store.enquiries.releases(tx)) if row[0] <= catalogue.release_id][:MOST_RELEASES]
    found: dict[str, Edit] = {}
    same = {name: Edit(0, 0) for name in now}
    for release_id, applied_at, digest in newest:
        if not same:
            break
        if digest not in known:
            release = store.releases.release(tx, release_id)
            known[digest] = digests_of(release.audience) if release is not None else {}
        for name in list(same):
            if known[digest].get(name) == now[name]:
                same[name] = Edit(release_id, applied_at)
            else:
                edit = same.pop(name)
                if name in known[digest]:
                    found[name] = edit
    return found


def last_edges(log: Iterable[LogEntry]) -> dict[str, LogEntry]:
    """By segment, when somebody entered or left it last."""
    edges: dict[str, LogEntry] = {}
    for entry in log:
        if entry.action in ("segment_entered", "segment_left"):
            name = str(entry.why.get("segment"))
            if name not in edges or edges[name].at <= entry.at:
                edges[name] = entry
    return edges


def without_an_edge(edits: Mapping[str, Edit], edges: Mapping[str, LogEntry], inside: Iterable[str]) -> dict[str, Edit]:
    """The segments in which somebody is, or is not any more, by the present meaning alone: nothing of it is in her log."""
    here = set(inside)
    later = {name: edit for name, edit in edits.items() if name not in edges or edges[name].at < edit.at}
    return {name: edit for name, edit in later.items() if name in here or (name in edges and edges[name].action == "segment_entered")}
