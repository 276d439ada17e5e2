import json
import resource
from pathlib import Path

import pytest

from channels.message import Accepted, Message, Rejected, Unknown
from channels.recording import RecordingChannel, SilentChannel


def message(key="k1", kind="message", channel="sms", content=None):
    content = content if content is not None else {"template": "short", "params": {"code": "一"}}
    return Message(key, f"v-{key}", 1_796_097_600_123, kind, channel, "+8613800000000", "u1", "welcome", 3, "hello", content)


@pytest.fixture
def recording(tmp_path):
    channel = RecordingChannel(tmp_path / "data" / "outbox.jsonl", {"stock": {"left": 3}})
    yield channel
    channel.close()


@pytest.fixture
def outbox(tmp_path):
    return tmp_path / "data" / "outbox.jsonl"


def test_a_message_is_one_line_of_json_with_exactly_these_keys(recording, outbox):
    outcome = recording.send(message())

    (line,) = outbox.read_text(encoding="utf-8").splitlines()
    assert outcome == Accepted("k1")
    assert json.loads(line) == {
        "at": "2026-12-01T04:00:00.123+00:00", "key": "k1", "channel": "sms", "to": "+8613800000000", "user_id": "u1",
        "journey": "welcome", "version": 3, "step": "hello", "content": {"template": "short", "params": {"code": "一"}},
    }  # fmt: skip
    assert list(json.loads(line)) == ["at", "key", "channel", "to", "user_id", "journey", "version", "step", "content"]
    assert "一" in line


def test_only_the_owner_may_read_the_recording(recording, outbox):
    recording.send(message())

    assert outbox.stat().st_mode & 0o777 == 0o600


def test_line_ends_in_a_text_do_not_end_the_line(recording, outbox):
    recording.send(message(content={"text": "a\nb\r\n"}))

    assert len(outbox.read_bytes().splitlines()) == 1


def test_text_that_is_no_unicode_never_raises(recording, outbox):
    outcome = recording.send(message(content={"text": "a\ud800b"}))

    assert outcome == Accepted("k1")
    assert json.loads(outbox.read_bytes())["content"] == {"text": "a?b"}


def test_lines_are_added_and_never_rewritten(recording, outbox):
    recording.send(message("k1"))
    recording.close()
    recording.send(message("k2"))

    assert [json.loads(line)["key"] for line in outbox.read_bytes().splitlines()] == ["k1", "k2"]


def test_a_torn_last_line_is_ended_before_the_next(recording, outbox):
    outbox.parent.mkdir()
    outbox.write_bytes(b'{"at":"2026","key":"torn","chan')

    recording.send(message("k2"))

    torn, whole = outbox.read_bytes().splitlines()
    assert torn == b'{"at":"2026","key":"torn","chan'
    assert json.loads(whole)["key"] == "k2"


def test_a_torn_line_is_no_message_before_and_after_its_repair(recording, outbox):
    outbox.parent.mkdir()
    outbox.write_bytes(b'{"at":"2026","key":"torn","chan')

    before = recording.look_up(message("torn"))
    recording.send(message("k2"))
    after = recording.look_up(message("torn"))

    assert isinstance(before, Rejected)
    assert isinstance(after, Rejected)
    assert recording.look_up(message("k2")) == Accepted("k2")


def test_what_stands_in_the_file_is_found_and_nothing_else(recording):
    recording.send(message("abc"))

    assert recording.look_up(message("abc")) == Accepted("abc")
    assert [recording.look_up(message(key)).code for key in ("ab", "abcd", "bc", "sms")] == ["not_recorded"] * 4


def test_a_key_inside_a_text_is_no_recorded_key(recording):
    recording.send(message("k1", content={"text": '"key":"k2"'}))

    assert isinstance(recording.look_up(message("k2")), Rejected)


def test_no_file_means_not_recorded(recording):
    assert isinstance(recording.look_up(message()), Rejected)


@pytest.mark.parametrize("shift", [-120, -60, -45, -40, -35, -30, -20, 0])
def test_a_key_is_found_wherever_it_stands_in_a_large_file(recording, outbox, shift):
    recording.send(message("first", content={"text": "x" * ((1 << 20) + shift)}))
    recording.send(message("second"))
    recording.send(message("third", content={"text": "x" * (1 << 20)}))

    assert all(isinstance(recording.look_up(message(key)), Accepted) for key in ("first", "second", "third"))
    assert isinstance(recording.look_up(message("fourth")), Rejected)


def test_a_full_disk_leaves_the_message_unknown():
    channel = RecordingChannel(Path("/dev/full"))

    outcome = channel.send(message())

    assert isinstance(outcome, Unknown)
    assert "No space left" in outcome.reason


def test_a_folder_that_cannot_be_made_leaves_the_message_unknown(tmp_path):
    (tmp_path / "file").write_text("")

    outcome = RecordingChannel(tmp_path / "file" / "outbox.jsonl").send(message())

    assert isinstance(outcome, Unknown)


def test_a_file_that_cannot_be_read_leaves_the_answer_unknown(tmp_path):
    assert isinstance(RecordingChannel(tmp_path).look_up(message()), Unknown)


def test_a_line_written_in_part_is_unknown_then_not_recorded_and_never_joined_to_the_next(recording, outbox):
    recording.send(message("k1"))
    size = outbox.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 60, hard))  # the disk is full in the middle of the line
        outcome = recording.send(message("k2"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    later = recording.send(message("k3"))

    assert isinstance(outcome, Unknown)
    assert isinstance(recording.look_up(message("k2")), Rejected)
    assert later == Accepted("k3")
    assert recording.look_up(message("k3")) == Accepted("k3")
    assert json.loads(outbox.read_bytes().splitlines()[-1])["key"] == "k3"


def test_a_benefit_is_answered_with_a_code_of_its_own_key(recording):
    grant = message("0123456789abcdef", kind="grant")

    sent, found = recording.send(grant), recording.look_up(grant)

    assert sent == found == Accepted("0123456789abcdef", {"code": "0123456789AB"})


def test_a_call_is_answered_with_the_reply_of_its_endpoint(recording):
    assert recording.send(message(kind="call", channel="stock")) == Accepted("k1", {"left": 3})
    assert recording.send(message(kind="call", channel="other")) == Accepted("k1", {})


def test_a_silent_channel_accepts_everything_and_answers_like_the_recording_one():
    silent = SilentChannel({"stock": {"left": 3}})

    assert silent.send(message()) == silent.look_up(message()) == Accepted("k1")
    assert silent.send(message("abcdefabcdefabc", kind="grant")).answer == {"code": "ABCDEFABCDEF"}
    assert silent.send(message(kind="call", channel="stock")).answer == {"left": 3}
