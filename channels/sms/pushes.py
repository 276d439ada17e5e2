"""What the callbacks of SMS vendors have in common: a secret in the path, a JSON array, local times. Pure."""

import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import orjson

CHINA = timezone(timedelta(hours=8))  # the vendors' times name no zone; China has had one zone and no summer time since 1991
T = TypeVar("T")


def knows_secret(url: str, secret: str) -> bool:
    """Whether the last segment of the URL's path is the secret. An empty secret is known to nobody."""
    try:
        said = unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:
        return False
    return bool(secret) and hmac.compare_digest(said.encode("utf-8", "replace"), secret.encode())


def elements(body: bytes) -> list[Any] | None:
    """The elements of a JSON array; a lone object is an array of one; None for anything else."""
    try:
        value = orjson.loads(body)
    except ValueError:
        return None
    if isinstance(value, dict):
        return [value]
    return value if isinstance(value, list) else None


def read_each(items: Sequence[Any], read: Callable[[dict[str, Any]], T | str]) -> tuple[list[T], list[str]]:
    """Read every element; one that cannot be read (`read` says why in a text) does not spoil the others."""
    good: list[T] = []
    problems: list[str] = []
    for number, item in enumerate(items, 1):
        result = read(item) if isinstance(item, dict) else "not an object"
        if isinstance(result, str):
            problems.append(f"element {number}: {result}")
        else:
            good.append(result)
    return good, problems


def text_of(item: dict[str, Any], name: str) -> str:
    """A field as text; numbers are written out, everything else that is no text is "" (a vendor's ids come as either)."""
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value).strip()


def local_instant(text: str) -> int:
    """Milliseconds since 1970 of a Chinese local time (2017-09-01 00:00:00, or 20170901000000); 0 when it is none."""
    for form in ("%Y-%m-%d %H:%M:%S", "%Y%m%d%H%M%S"):
        try:
            return max(round(datetime.strptime(text.strip(), form).replace(tzinfo=CHINA).timestamp() * 1000), 0)
        except ValueError:
            continue
    return 0


def local_day(at: int) -> str:
    """The Chinese day of an instant: 20261130."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(CHINA).strftime("%Y%m%d")


def until_local(now: int, hour: int) -> int:
    """Milliseconds from `now` to the next time that Chinese clocks show `hour`:00; a whole day when they show it now."""
    local = datetime.fromtimestamp(now / 1000, UTC).astimezone(CHINA)
    then = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    if then <= local:
        then += timedelta(days=1)
    return round((then - local).total_seconds() * 1000)
