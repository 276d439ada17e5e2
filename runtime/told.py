"""When somebody live last told each thing that is known of a user: an older word, or a history, does not replace it. Pure.

`reach["told"]` has the instants by name: `zone`, `identity.phone`, `trait.city`, `tag.vip`. What only a history has said has none: the
next history may correct it. (Of consents, `reach["said"]` has the times of the answers themselves.)
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from runtime.state import User

SETS = ("traits", "set_once")  # of a record, what puts a value in the place of another; increment and append add to it
ADDS = ("increment", "append")
TAGS = ("tags", "remove_tags")
MOST_NAMES = 1000  # of a user, the last told: tags that come and go (one per order, say) do not let her row grow for ever


def news_of(user: User, payload: Mapping[str, Any], came: int | None) -> dict[str, Any]:
    """The record without what was told anew since it `came`; of a history (None), without what somebody live has ever told."""
    told: Mapping[str, int] = user.reach.get("told", {})
    since = -1 if came is None else came

    def is_news(kind: str, name: str) -> bool:
        return told.get(f"{kind}.{name}", since) <= since

    news = dict(payload)
    if news.pop("clear", None):
        news["traits"] = {**dict.fromkeys(user.profile.get("p", ())), **(payload.get("traits") or {})}
    if told.get("zone", since) > since:
        news.pop("zone", None)
    for key, kind in (*((key, "trait") for key in SETS), ("identities", "identity")):
        if news.get(key):
            news[key] = {name: value for name, value in news[key].items() if is_news(kind, name)}
    for key in TAGS:
        if news.get(key):
            news[key] = [tag for tag in news[key] if is_news("tag", tag)]
    return news


def note_record(user: User, payload: Mapping[str, Any], at: int) -> None:
    """Somebody live tells what a record holds. Asked before the record is taken: what it clears is known until then."""
    known = user.profile.get("p", ())
    traits = [*(known if payload.get("clear") else ())]
    traits += [name for key in ("traits", *ADDS) for name in payload.get(key) or ()]
    traits += [name for name in payload.get("set_once") or () if name not in known]
    names = [f"identity.{kind}" for kind in payload.get("identities") or ()]
    if payload.get("zone"):
        names.append("zone")
    _note(user, [*names, *_named(traits, [tag for key in TAGS for tag in payload.get(key) or ()])], at)


def note_update(user: User, traits: Collection[str], tags: Collection[str], at: int) -> None:
    """A journey sets traits, adds or takes away tags."""
    _note(user, _named(traits, tags), at)


def _named(traits: Iterable[str], tags: Iterable[str]) -> list[str]:
    return [*(f"trait.{name}" for name in traits), *(f"tag.{name}" for name in tags)]


def _note(user: User, names: list[str], at: int) -> None:
    if names:
        told = user.reach.setdefault("told", {})
        told.update({name: max(at, told.get(name, 0)) for name in names})
        if len(told) > MOST_NAMES:
            for name in sorted(told, key=lambda name: told[name])[:-MOST_NAMES]:
                del told[name]
