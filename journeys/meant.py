"""What a person meant who wrote a key that may not stand there, as far as it can be known. Pure."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from journeys.codes.code import Words, words
from journeys.errors import did_you_mean
from journeys.keys import belongs_under, keys_at

MOST_KEYS = 10  # listed where nothing near is found
_OTHER_WORDS = {"else": "otherwise", "if": "when"}
_TEXTS = ("text", "title", "body", "content", "message")
_BESIDE_BRANCH = words(
    "what everybody else gets stands under otherwise:, beside branch in the same step, without a dash",
    "其余的人走的步骤写在 otherwise: 里，和 branch 在同一步并列，前面不加短横",
)

Path = tuple[str | int, ...]


def unknown_key(model: type[BaseModel], data: Any, path: Path) -> dict[str, Any]:
    """What J012 says of the key at a path of the data: a key that is near, where it belongs, or all that may stand there."""
    key, known = str(path[-1]), keys_at(model, data, path[:-1])
    told: dict[str, Any] = {"found": key}
    if rather := _rather(key, path, data):
        return told | {"rather": rather}
    if hint := next((name for name in (_OTHER_WORDS.get(key), f"{key}s", key.removesuffix("s")) if name in known and name != key), ""):
        return told | {"hint": hint}
    if key not in known and (under := belongs_under(model, key)):
        return told | {"under": under}
    if hint := did_you_mean(key, known):
        return told | {"hint": hint}
    return told | {"known": known if len(known) <= MOST_KEYS else ()}


def explains(told: dict[str, Any], missing: str) -> bool:
    """Whether an unknown key is the reason why another is missing beside it: it was meant to be that one, or the whole is another thing."""
    return "rather" in told or told.get("hint") == missing


def cut_by_comma(lines: Sequence[str], spots: Any, data: Any, path: Path) -> tuple[Path, str] | None:
    """The value, with its whole text, that an unquoted comma in braces cut in two: what stood behind it became keys without values."""
    parent = at(data, path[:-1])
    if not isinstance(parent, dict) or not _is_bare(lines, spots, path, parent):
        return None
    keys = list(parent)
    place = keys.index(path[-1])
    while place and _is_bare(lines, spots, (*path[:-1], keys[place]), parent):
        place -= 1
    value = parent[keys[place]]
    if not isinstance(value, str | int | float):
        return None
    pieces = [str(value)]
    for key in keys[place + 1 :]:
        if not _is_bare(lines, spots, (*path[:-1], key), parent):
            break
        pieces.append(key)
    return (*path[:-1], keys[place]), ", ".join(pieces)


def at(data: Any, path: Path) -> Any:
    """What stands at a path."""
    for part in path:
        data = data[part]
    return data


def _rather(key: str, path: Path, data: Any) -> Words | None:
    above = path[-2] if len(path) > 1 else ""
    if key in ("otherwise", "else") and (path[-3:-2] == ("branch",) or set(at(data, path[:-1])) <= {"id", key}):
        return _BESIDE_BRANCH
    if key in _TEXTS and above in ("sms", "wechat") and "template" not in at(data, path[:-1]):
        return words(
            f"{above} sends templates of config.toml only; write {above}: {{template: NAME}}",
            f"{above} 只发 config.toml 里的模板；请写 {above}: {{template: 模板名}}",
        )
    return None


def _is_bare(lines: Sequence[str], spots: Any, path: Path, parent: dict[str, Any]) -> bool:
    """Whether a key has neither value nor colon."""
    key = str(path[-1])
    if parent[key] is not None or path not in spots:
        return False
    line, column = spots[path].key
    return lines[line - 1][column - 1 + len(key) :].lstrip()[:1] in (",", "}")
