"""Request bodies, counted while they come in. Of large ones only so many are in memory at once, however many connections there are."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from starlette.types import Receive

from runtime.intake.reading import Unreadable

SMALL = 1 << 20  # bytes up to which a body is read at once, whoever else is read
LARGE_AT_ONCE = 8  # of larger ones
SECONDS = 60  # that a larger one may take from then on
MOST_HELD = 64 << 20  # bytes of JSON, inflated, that wait to be committed
MOST_KEPT = 64 * 1024  # bytes of a request that is too large, or that comes when so much has been kept on its day already:
MOST_KEPT_A_DAY = 1 << 30  # bytes of requests that could not be read, and of messages of unsigned sources that are set aside
_DAY = 86_400_000
_MOMENT = 0.02  # seconds


class Bodies:
    """The bodies in memory. It is asked again and again whether there is room, since its callers live in several loops."""

    def __init__(self) -> None:
        self._large = 0
        self._held = 0
        self._kept = (0, 0)  # the day, and how many bytes of unreadable requests were kept on it

    async def read(self, receive: Receive, limit: int) -> bytes | Unreadable:
        """The raw body; of one that is too large, its beginning. Who was given one has to `release` it."""
        chunks: list[bytes] = []
        size, more, until, whole = 0, True, 0.0, False
        try:
            while more:
                message = await (asyncio.wait_for(receive(), until - monotonic()) if until else receive())
                if message["type"] == "http.disconnect":
                    return Unreadable(400, "cut_off", "the request ended early")
                chunk, more = message.get("body", b""), message.get("more_body", False)
                size += len(chunk)
                chunks.append(chunk)
                if size > limit:
                    return Unreadable(413, "too_large", f"expected at most {limit} bytes", b"".join(chunks)[:MOST_KEPT])
                if size > SMALL and not until:
                    while self._large >= LARGE_AT_ONCE:  # noqa: ASYNC110 - an Event belongs to one loop
                        await asyncio.sleep(_MOMENT)
                    self._large += 1
                    until = monotonic() + SECONDS
            whole = True
            return b"".join(chunks)
        except TimeoutError:
            return Unreadable(408, "too_slow", f"expected the body within {SECONDS} seconds")
        except asyncio.CancelledError:  # the server stops and does not wait for the rest of the body
            return Unreadable(408, "too_slow", "the server stops before the request has ended")
        finally:
            if until and not whole:
                self._large -= 1

    def release(self, body: bytes | Unreadable) -> None:
        """Nobody needs this body any more."""
        if isinstance(body, bytes) and len(body) > SMALL:
            self._large -= 1

    async def room(self) -> None:
        """Wait until what was read out of other bodies is committed: a few bytes of gzip may be megabytes."""
        while self._held > MOST_HELD:  # noqa: ASYNC110 - as above
            await asyncio.sleep(_MOMENT)

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """So many bytes wait to be committed."""
        self._held += size
        try:
            yield
        finally:
            self._held -= size

    def kept(self, size: int, now: int) -> int:
        """How many of so many bytes, that are set aside of one request, are kept: all, while the day's are not too many."""
        day, before = self._kept
        before = before if day == now // _DAY else 0
        most = size if before + size <= MOST_KEPT_A_DAY else min(size, MOST_KEPT)
        self._kept = (now // _DAY, before + most)
        return most
