"""The town with vendors: everything through the real adapters, and what the stand-ins took against the ledger."""

import json
import socket
from contextlib import contextmanager

import pytest

from channels.loopback.aliyun import AliyunVendor
from channels.loopback.wechat import Wechat
from runtime.cli import run
from runtime.vendoraudit import Audit, Claim, compare, vendor_of

DAYS = "6"


@contextmanager
def only_ourselves(monkeypatch):
    """Every connection of this process must be to 127.0.0.1; yields where they went."""
    seen = set()
    real = socket.socket.connect

    def connect(self, address):
        if self.family != socket.AF_UNIX:
            assert address[0] == "127.0.0.1", f"something tried to reach {address}"
            seen.add(address[1])
        return real(self, address)

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "connect", connect)
        yield seen


def demo(database, capsys, days=DAYS):
    code = run(["demo", "--vendors", "--days", days, "--json", "--database", str(database)])
    return code, json.loads(capsys.readouterr().out)


def test_a_slice_of_the_town_s_life_contradicts_no_vendor(tmp_path, capsys, monkeypatch):
    with only_ourselves(monkeypatch) as ports:
        code, told = demo(tmp_path / "demo.db", capsys)

    assert (code, told["audit"]["clean"], told["audit"]["examples"]) == (0, True, [])
    assert told["audit"]["compared"] > 100
    vendors = {seen["vendor"]: seen for seen in told["vendors"]}
    assert set(vendors) == {"wechat", "aliyun", "jpush", "wecom", "wechatpay", "benefit", "endpoint", "smtp"}
    for name in ("wechat", "aliyun", "jpush", "wecom", "endpoint"):
        assert vendors[name]["taken"] > 5, name
        assert vendors[name]["requests"] >= vendors[name]["taken"], name
    assert len(ports) >= 5

    settled = [how for seen in told["vendors"] for how in seen["unknown"]]
    assert settled
    assert "open" not in settled  # settled, or given up and shown as such
    assert any(row["suppressed"].get("no_credit") for row in told["journeys"].values())  # subscriptions are scarce here
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"DELIVERED" in stored  # receipts came back
    assert b"whsec_" not in stored

    config = ["--config", str(tmp_path), "--database", str(tmp_path / "demo.db")]
    assert run(["status", "--json", *config]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["totals"]["inbox"], status["totals"]["quarantine"]) == (0, 0)


def test_a_vendor_that_forgets_a_message_it_answered_ok_to_is_found_out(tmp_path, capsys, monkeypatch):
    forgotten = []
    take = Wechat.take

    def forgetful(self, key, address, content):
        reference = take(self, key, address, content)
        if len(self.taken) == 5 and not forgotten:
            forgotten.append(self.taken.pop())
        return reference

    monkeypatch.setattr(Wechat, "take", forgetful)
    code, told = demo(tmp_path / "demo.db", capsys, "2")
    assert forgotten
    assert (code, told["audit"]["clean"], told["audit"]["missing"], told["audit"]["contradicted"]) == (1, False, 1, 0)
    assert told["audit"]["examples"][0].startswith("missing: wechat has no ")


def test_a_vendor_that_takes_a_message_twice_is_found_out_and_people_are_told(tmp_path, capsys, monkeypatch):
    take = AliyunVendor.take

    def eager(self, key, address, content):
        reference = take(self, key, address, content)
        if len(self.taken) == 2:
            self.taken.append(self.taken[-1])
            self._times.append(self._clock())
        return reference

    monkeypatch.setattr(AliyunVendor, "take", eager)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert run(["demo", "--vendors", "--days", "2", "--database", str(tmp_path / "demo.db")]) == 1
    out = capsys.readouterr().out
    assert "重复收下的 1 条" in out
    assert "twice: aliyun took " in out


YES, DOUBT, NO = (Claim(f"{said}-key", said, f"{said}-mark") for said in ("yes", "doubt", "no"))


@pytest.mark.parametrize(
    ("taken", "found"),
    [
        (["yes-mark"], (0, 0, 0)),
        (["yes-mark", "doubt-mark"], (0, 0, 0)),
        ([], (1, 0, 0)),
        (["yes-mark", "no-mark"], (0, 1, 0)),
        (["yes-mark", "stranger"], (0, 1, 0)),
        (["yes-mark", "yes-mark"], (0, 0, 1)),
    ],
)
def test_where_the_vendor_is_told_our_key(taken, found):
    audit = Audit()
    compare("jpush", [YES, DOUBT, NO], [(mark, "r", "") for mark in taken], audit)
    assert (len(audit.missing), len(audit.contradicted), len(audit.twice)) == found
    assert audit.clean == (found == (0, 0, 0))


@pytest.mark.parametrize(
    ("taken", "found"),
    [
        ([("r1", "hello"), ("r2", "hello")], (0, 0, 0)),
        ([("r1", "hello"), ("r2", "hello"), ("r3", "bye")], (0, 0, 0)),  # what nobody could tell did arrive
        ([("r1", "hello"), ("r1", "bye")], (1, 0, 0)),  # the reference of a message that was forgotten, given out again
        ([("r1", "hello"), ("r2", "hello"), ("r3", "hello")], (0, 0, 1)),
        ([("r1", "hello"), ("r2", "hello"), ("r3", "refused")], (0, 1, 0)),
        ([("r1", "hello"), ("r2", "hello"), ("r3", "bye"), ("r4", "bye")], (0, 1, 0)),
    ],
)
def test_where_the_vendor_knows_only_its_own_reference(taken, found):
    claims = [
        Claim("a", "yes", reference="r1", words="hello"), Claim("b", "yes", reference="r2", words="hello"),
        Claim("c", "doubt", words="bye"), Claim("d", "no", words="refused"),
    ]  # fmt: skip
    audit = Audit()
    compare("wechat", claims, [("", reference, words) for reference, words in taken], audit)
    assert (len(audit.missing), len(audit.contradicted), len(audit.twice)) == found


def test_where_the_vendor_tells_nothing_the_words_are_counted():
    claims = [Claim("a", "yes", words="hello"), Claim("b", "yes", words="hello"), Claim("c", "doubt", words="hello")]
    for n, found in ((1, (1, 0, 0)), (2, (0, 0, 0)), (3, (0, 0, 0)), (4, (0, 0, 1))):
        audit = Audit()
        compare("wecom", claims, [("", f"r{i}", "hello") for i in range(n)], audit)
        assert (len(audit.missing), len(audit.contradicted), len(audit.twice)) == found


def test_every_lane_has_its_vendor():
    lanes = ("wechat", "sms", "push", "wecom", "email", "robot:service_desk", "grant:points", "grant:newcomer_20_5", "call:open_ticket")
    assert [vendor_of(lane) for lane in lanes] == [
        "wechat", "aliyun", "jpush", "wecom", "smtp", "wecom", "benefit", "wechatpay", "endpoint"
    ]  # fmt: skip
