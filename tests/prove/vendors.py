"""Stand-in vendors in a process of their own, on ports that stay the same while daemons die: their truth outlives every daemon.

    python -m tests.prove.vendors one line of JSON on standard output: {"jpush": PORT, …}; ends with its standard input

`GET /_truth` of each says what it took, `POST /_behave` how it treats what is sent. Nothing is shared with a daemon but HTTP.
"""

import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

import requests

from channels.loopback.aliyun import AliyunVendor
from channels.loopback.benefit import BenefitVendor
from channels.loopback.jpush import JPushServer
from channels.loopback.server import Loopback, Vendor
from channels.loopback.wechat import Wechat
from runtime.clock import SystemClock

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
JPUSH = {"app_key": "7d431e42dfa6a6d693ac2d04", "master_secret": "5e987ac6d2e04d95a9d8f0d1"}
ALIYUN = {"access_key_id": "LTAI5tProve", "access_key_secret": "aliyun-secret", "sign": "鲜果社区"}
WECHAT = {"appid": "wx0123456789abcdef", "secret": "wechat-secret"}
STOCK = 1_000_000

# Faults before the vendor took anything, and after. `flow_control` holds a whole channel for seconds (WeChat: a minute): seldom, or never.
FAULTS: Mapping[str, Mapping[str, float]] = {
    "jpush": {"cut": 0.01, "accept_then_cut": 0.02, "unavailable": 0.01, "flow_control": 0.002, "accept_then_hang": 0.002},
    "aliyun": {"cut": 0.005, "accept_then_cut": 0.02, "accept_then_html": 0.005, "accept_then_hang": 0.002},
    "wechat": {"cut": 0.005, "accept_then_cut": 0.01, "unavailable": 0.005},
    "benefit": {"cut": 0.01, "accept_then_cut": 0.02, "unavailable": 0.01, "accept_then_half": 0.005, "accept_then_hang": 0.002},
}
LATENCY = {"jpush": 0.03, "aliyun": 0.05, "wechat": 0.02, "benefit": 0.04}


def stand_ins() -> dict[str, Vendor]:
    """One vendor per guarantee: JPush and the benefit have a key, Aliyun a query, WeChat neither."""
    clock = SystemClock().now
    return {
        "jpush": JPushServer(everyone=True, **JPUSH),
        "aliyun": AliyunVendor(templates={"SMS_1": ["who"]}, clock=clock, **ALIYUN),
        "wechat": Wechat(templates={"W1": ["thing1"]}, everyone=True, **WECHAT),
        "benefit": BenefitVendor(SECRET, clock, {"coupon": STOCK}),
    }


def serve() -> int:
    """Until standard input ends."""
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(Loopback(vendor)) for name, vendor in stand_ins().items()}
        print(json.dumps({name: server.port for name, server in servers.items()}), flush=True)
        sys.stdin.read()
    return 0


class Vendors:
    """The process, from the loop's side."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.prove.vendors"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout is not None
        self.ports: dict[str, int] = json.loads(self.process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def behave(self, *, faults: bool = True) -> None:
        """Be as slow as vendors are, and fail as they do."""
        for seed, (name, port) in enumerate(self.ports.items()):
            how = {"latency": LATENCY[name], "faults": FAULTS[name] if faults else {}, "seed": seed}
            requests.post(f"http://127.0.0.1:{port}/_behave", json=how, timeout=10).raise_for_status()

    def truth(self) -> "Truth":
        """What each of them took."""
        with requests.Session() as session:
            found = {name: session.get(f"http://127.0.0.1:{port}/_truth", timeout=120).json() for name, port in self.ports.items()}
        took: dict[str, Counter[str]] = {name: Counter(mark_of(name, taken) for taken in said["taken"]) for name, said in found.items()}
        struck = {name: said["struck"] for name, said in found.items()}
        refused = [f"{name}: {why}" for name, said in found.items() for why in said["refused"]]
        return Truth(took, struck, refused)


class Truth:
    """How often each message arrived, by vendor and mark (`u17/hello`); the faults that struck, and why requests were refused."""

    def __init__(self, took: dict[str, Counter[str]], struck: dict[str, dict[str, int]], refused: list[str]) -> None:
        self.took, self.struck, self.refused = took, struck, refused

    @property
    def faults(self) -> int:
        """How many requests were struck in a way that leaves their sender without an answer it can use."""
        return sum(n for by_fault in self.struck.values() for fault, n in by_fault.items() if fault != "flow_control")


def mark_of(vendor: str, taken: Mapping[str, Any]) -> str:
    """Which message it was: every one carries its user and step in what the vendor shows to people."""
    content = taken["content"]
    match vendor:
        case "jpush":
            return str(content["notification"]["android"]["alert"])
        case "aliyun":
            return str(content["params"]["who"])
        case "wechat":
            return str(content["data"]["thing1"]["value"])
    return f"{content['user_id']}/{content['step']}"


if __name__ == "__main__":
    sys.exit(serve())
