"""Delivery through one lane to a vendor 50 ms away, beside the rate that its connections allow; CPU beside a bare `requests` loop.

A real lane (SQLite, FULL durability) and channels/http.py. The vendor is a process of its own that answers each request when 50 ms have
passed since its last byte came; what a single client sees of it is printed first. Floor: as many threads that only post with `requests`.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httptools
import orjson
import requests
import uvloop

from channels.http import Answer, Http, NotSent
from channels.message import Accepted, Message, Neither, RetryLater, Unknown
from journeys.compile import LANGUAGE_VERSION, digest_of
from runtime.clock import SystemClock
from runtime.deliver import Delivery, LaneRules
from runtime.engine import Engine
from runtime.lanes import Lane
from runtime.policy import Rules
from runtime.state import NewMessage, User, stable_key
from runtime.store import open_store
from runtime.store.releases import NewVersion

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.town import AUDIENCE, WORLD, ZONE, journey_text, reachable

LATENCY = 0.05
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


class Vendor(asyncio.Protocol):
    """One connection to a vendor that takes every JSON object: 50 ms after the whole request has come, it answers."""

    def connection_made(self, transport):
        self.transport, self.parser, self.body = transport, httptools.HttpRequestParser(self), b""

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        body, self.body = orjson.loads(self.body), b""
        asyncio.get_running_loop().call_later(LATENCY, self.transport.write, ANSWER if body["to"] else REFUSAL)


class Post:
    """The thinnest adapter there is: one JSON post per message."""

    guarantee = Neither()
    one_at_a_time = False

    def __init__(self, url: str, connections: int) -> None:
        self.http = Http(url, connections=connections)
        self.timeout = self.http.longest

    def send(self, message: Message) -> Accepted | RetryLater | Unknown:
        answer = self.http.request(
            "POST", "/send", body=b'{"to":"%s"}' % message.address.encode(), headers={"Content-Type": "application/json"}
        )
        if isinstance(answer, Answer) and answer.status == 200:
            return Accepted(message.key[:8])
        return RetryLater(1000) if isinstance(answer, NotSent) else Unknown()

    def look_up(self, message: Message) -> Unknown:  # noqa: ARG002 - a channel's signature
        return Unknown()


async def serve() -> None:
    """The vendor's process: prints its port and serves until its standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Vendor, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def seen(port: int) -> str:
    """How long one client alone waits for an answer: nothing but a socket, from the last byte sent to the answer."""
    waited = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(40):
            connection.sendall(b"POST /send HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n" + b'{"to":"x"}')
            began = time.perf_counter()
            assert connection.recv(1000) == ANSWER
            waited.append((time.perf_counter() - began) * 1000)
    waited.sort()
    return f"{waited[0]:.2f} to {waited[-1]:.2f} ms, median {waited[len(waited) // 2]:.2f}"


def floor(url: str, connections: int, n: int) -> tuple[float, float]:
    """Posts per second and CPU seconds per post of threads that do nothing else."""
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=connections))
    cpu, began = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(lambda _: session.post(f"{url}/send", json={"to": "x"}, timeout=5).status_code, range(n)))
    return n / (time.perf_counter() - began), (time.process_time() - cpu) / n


def lane(url: str, connections: int, n: int) -> tuple[float, float]:
    """Messages per second through a lane, from the first claim to the last record, and CPU seconds per message."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/bench.db", ZONE, "daemon")
        clock = SystemClock()
        now = clock.now()
        text = journey_text("- {id: hello, send: [{push: {title: T, body: B}}]}")
        store.database.write(
            lambda tx: store.releases.add(
                tx, follows=0, digest="d", audience=AUDIENCE, audience_digest="a", author="", message="", now=now - 1,
                language=LANGUAGE_VERSION,
                journeys=[NewVersion("j", digest_of(text), text, {})],
            )
        )  # fmt: skip
        engine = Engine(store, WORLD, ZONE, Rules())
        engine.refresh()
        version = next(iter(engine.catalogue.versions))

        def plan(tx) -> None:
            people = [User(f"u{i}", ZONE, {}, reachable(f"u{i}"), audience="a") for i in range(n)]
            store.people.save_users(tx, people)
            rows = []
            for i in range(n):
                key, content = stable_key("m", str(i)), {"title": "T", "body": "B"}
                message = NewMessage(key, "message", "hello", 1, f"u{i}", "push", None, "service", None, 50, 0, now, None, content)
                rows.append(store.ledger.row_of(message, i, f"u{i}", "j", version, now))
            store.ledger.add_messages(tx, rows)

        store.database.write(plan)
        done = threading.Event()
        left = [n]

        def told(delivered) -> None:
            left[0] -= delivered.counts.get("accepted", 0)
            if left[0] <= 0:
                done.set()

        delivery = Delivery(store, engine, {"push": Post(url, connections)}, Rules(), ZONE, clock=clock,
                            flows={"push": LaneRules(connections)})  # fmt: skip
        running = Lane(delivery, "push", clock, told)
        cpu, began = time.process_time(), time.perf_counter()
        running.start()
        done.wait(120)
        took, used = time.perf_counter() - began, time.process_time() - cpu
        running.stop()
        store.close()
        assert left[0] == 0, left
        return n / took, used / n


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--seconds", type=float, default=8)
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(serve())
        return
    vendor = subprocess.Popen([sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)})  # fmt: skip
    port = int(vendor.stdout.readline())
    url = f"http://127.0.0.1:{port}"
    print(f"one lane, SQLite (WAL, FULL), a vendor that answers after {LATENCY * 1000:.0f} ms in a process of its own, 2 cores")
    print(f"a client alone waits {seen(port)}; load of the machine before: {os.getloadavg()[0]:.1f}, nice {os.nice(0)}")
    print("connections   allowed/s   lane/s   share of allowed   bare requests/s   CPU per message   bare CPU per post")
    try:
        for connections in (1, 4, 8, 16, 32):
            allowed = connections / LATENCY
            n = int(allowed * arguments.seconds)
            bare, bare_cpu = floor(url, connections, n // 2)
            rate, cpu = lane(url, connections, n)
            print(f"{connections:11}   {allowed:9.0f}   {rate:6.0f}   {rate / allowed:16.2f}   {bare:15.0f}   {cpu * 1e6:12.0f} µs"
                  f"   {bare_cpu * 1e6:14.0f} µs", flush=True)  # fmt: skip
    finally:
        vendor.stdin.close()
        vendor.wait(10)


if __name__ == "__main__":
    main()
