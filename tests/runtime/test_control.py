"""The socket beside the database: one line there, one line back, for its owner only."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from runtime.control import NoAnswer, ask, listen, socket_path


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:////srv/data/journeyd.db", "/srv/data/journeyd.db.sock"),
        ("sqlite:///data/journeyd.db", "data/journeyd.db.sock"),
        ("sqlite:///:memory:", None),
        ("postgresql+psycopg://localhost/journeyd", None),
    ],
)
def test_the_socket_stands_beside_the_file(url, expected):
    found = socket_path(url)

    assert (None if found is None else str(found)) == expected


def test_where_nobody_listens_there_is_no_answer(tmp_path):
    left_over = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left_over))

    assert ask(tmp_path / "none.sock", {"command": "x"}) is None
    assert ask(left_over, {"command": "x"}) is None
    assert ask(tmp_path / ("no folder of this long name" * 4) / "none.sock", {"command": "x"}) is None


def served(path, handler, *requests):
    async def serve():
        server = await listen(path, handler)
        mode = path.stat().st_mode & 0o077
        answers = [await asyncio.to_thread(ask, path, request) for request in requests]
        server.close()
        await server.wait_closed()
        return mode, answers

    return asyncio.run(serve())


async def length_of(request):
    return {"length": len(request["text"])}


async def echo(request):
    if request.get("fail"):
        raise RuntimeError("the disk is full")
    return {"got": request}


@pytest.mark.parametrize("depth", [1, 12], ids=["a short path", "a path longer than a socket's"])
def test_a_request_is_answered_and_an_old_socket_replaced(tmp_path, depth):
    folder = tmp_path.joinpath(*["a_rather_long_name"] * depth)
    folder.mkdir(parents=True)
    path = folder / "journeyd.db.sock"
    path.touch()

    others_may, answers = served(path, echo, {"command": "apply", "message": "发布"})

    assert others_may == 0
    assert answers == [{"got": {"command": "apply", "message": "发布"}}]


def test_a_long_line_of_chinese_fits(tmp_path):
    _, [answer] = served(tmp_path / "s.sock", length_of, {"text": "车" * 300_000})

    assert answer == {"length": 300_000}


def test_a_long_line_of_small_values_is_no_longer_than_what_is_counted(tmp_path):
    """A chunk of an import is counted without the blanks that JSON may have."""
    _, [answer] = served(tmp_path / "s.sock", length_of, {"text": [1] * 500_000})

    assert answer == {"length": 500_000}


def test_a_daemon_that_ends_before_it_answers_is_no_answer(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening, ThreadPoolExecutor(1) as pool:
        listening.bind(str(tmp_path / "s.sock"))
        listening.listen()
        asked = pool.submit(ask, tmp_path / "s.sock", {"command": "x"})
        connection, _ = listening.accept()
        connection.recv(100)
        connection.close()

        with pytest.raises(NoAnswer, match="ended before it answered; run the command again"):
            asked.result()


def test_a_handler_that_fails_is_told_and_the_next_is_answered(tmp_path):
    _, answers = served(tmp_path / "s.sock", echo, {"fail": True}, {"n": 1})

    assert answers == [{"error": "RuntimeError: the disk is full"}, {"got": {"n": 1}}]
