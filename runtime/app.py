"""The composition root: one function builds the program from its settings, with ports that tests may replace."""

import gc
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from channels.message import Channel
from channels.recording import RecordingChannel
from runtime.clock import Clock, SystemClock
from runtime.deliver import Delivery
from runtime.engine import Engine
from runtime.settings import Project
from runtime.store import SqlStore, open_store

SENDERS = 8


@dataclass
class App:
    """Everything that a command or the daemon works with."""

    project: Project
    store: SqlStore
    engine: Engine
    delivery: Delivery
    clock: Clock
    pool: ThreadPoolExecutor | None = None

    def close(self) -> None:
        """Let go of the database and the senders."""
        if self.pool is not None:
            self.pool.shutdown(wait=True)
        self.store.close()


def build_app(
    project: Project,
    mode: str = "inline",
    *,
    url: str | None = None,
    clock: Clock | None = None,
    channels: Mapping[str, Channel] | None = None,
    virtual: bool = False,
    scratch: bool = False,
) -> App:
    """Open the store and wire the services. Raises StoreError or ConfigError, with the cure.

    `mode`: "daemon" (lock, writer thread), "inline" (virtual time, commands that write) or "reading" (writes nothing, beside
    a daemon too). `scratch` gives up durability.
    """
    gc.set_threshold(50_000, 20, 50)  # a batch makes many small objects that die with it: looking for circles early is waste
    zone, rules, world = project.zone, project.rules(), project.world()
    clock = clock or (None if virtual else SystemClock())
    store = open_store(url or project.database_url, zone, mode, scratch=scratch)
    engine = Engine(store, world, zone, rules, virtual=virtual)
    pool = ThreadPoolExecutor(SENDERS, "journeyd-sender") if mode == "daemon" else None
    delivery = Delivery(store, engine, channels if channels is not None else adapters(project), rules, zone, pool, clock)
    if mode != "reading":
        budgets = {name: section.budget for name, section in project.settings.benefits.items()}
        store.database.write(lambda tx: store.ledger.set_budgets(tx, budgets))
    engine.refresh()
    return App(project, store, engine, delivery, clock or SystemClock(), pool)


def adapters(project: Project) -> dict[str, Channel]:
    """The adapters that config names: channels by name, benefits as grant:NAME, endpoints as call:NAME."""
    settings = project.settings
    recording = RecordingChannel(project.recording_file, {name: s.reply for name, s in settings.endpoints.items()})
    names = [*settings.channels, *(f"grant:{b}" for b in settings.benefits), *(f"call:{e}" for e in settings.endpoints)]
    return dict.fromkeys(names, recording)
