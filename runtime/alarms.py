"""Alarms: a channel is held because of a fault that is no message's, or works again. Logged, shown by `status`, told to a robot."""

import hashlib
import threading

import structlog

from channels.message import Channel, Message
from runtime.app import App
from runtime.attempt import Alarm

log = structlog.get_logger("journeyd.alarms")


class Alarms:
    """Tells people. The robot of [alarms] is told once per opening and closing, by the daemon that saw it."""

    def __init__(self, app: App) -> None:
        self._app = app

    def raise_(self, alarm: Alarm) -> None:
        """Say that a lane is held, or works again; a robot that does not answer is only logged."""
        action = "channel_held" if alarm.held else "channel_resumed"
        text = "a channel is held: its messages wait, one probes it from time to time" if alarm.held else "a channel works again"
        fields = {"action": action, "lane": alarm.lane, "template": alarm.template, "code": alarm.code, "reason": alarm.reason}
        if alarm.held:
            log.error(text, **fields)
        else:
            log.info(text, **fields)
        robot = self._app.project.settings.alarms.robot
        channel = self._app.delivery.channels.get(f"robot:{robot}") if robot is not None else None
        if robot is None or channel is None or alarm.lane == f"robot:{robot}":
            return
        threading.Thread(target=self._tell, args=[alarm, robot, channel], name="journeyd-alarm", daemon=True).start()

    def _tell(self, alarm: Alarm, robot: str, channel: Channel) -> None:
        """On a thread of its own: a slow robot delays no lane."""
        now = self._app.clock.now()
        key = hashlib.blake2b(f"{alarm.lane}{alarm.template}{alarm.held}{now}".encode(), digest_size=16).hexdigest()
        what = alarm.lane + (f" ({alarm.template})" if alarm.template else "")
        chinese = f"{what} 已暂停：{alarm.code} {alarm.reason}。消息会等待，恢复后继续发。" if alarm.held else f"{what} 已恢复。"
        outcome = channel.send(
            Message(key, key, now, "message", "wecom", robot, f"robot:{robot}", "", 0, "", {"text": f"journeyd: {chinese}"})
        )
        log.info("the alarm was told", action="alarm_told", robot=robot, outcome=type(outcome).__name__)
