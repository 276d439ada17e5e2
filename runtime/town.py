"""A small town for the demo: users, leaders, orders, complaints, silence, and how people answer to messages.

Everything follows from a seed: the same seed and the same messages give the same town.
"""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from journeys.duration import DAY, HOUR, MINUTE
from runtime.state import Event

ITEMS = [("88", "车厘子", "水果", 39.9), ("12", "土鸡蛋", "蛋奶", 19.9), ("31", "五常大米", "粮油", 49.0), ("7", "时令青菜", "蔬菜", 6.9),
         ("55", "鲜牛奶", "蛋奶", 12.9), ("64", "红富士苹果", "水果", 16.8), ("21", "冷鲜五花肉", "肉禽", 28.5), ("90", "手工水饺", "速食", 22.0)]  # fmt: skip
SURNAMES = "王李张刘陈杨赵黄周吴"
ASKED = 3  # templates that WeChat's page shows at once
ACCEPTED, REJECTED = 0.72, 0.08  # of the templates that a page asks for; the others are closed without an answer
UNDELIVERED, ANSWERED_R = 0.07, 0.15  # of short messages; of those for marketing
SITES = ["幸福里南门", "阳光花园东门", "翠湖苑菜鸟站", "和平小区超市"]


def share(*parts: object) -> float:
    """A number in [0, 1) that follows from the parts: the same story in whatever order things happen."""
    digest = hashlib.blake2b(":".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def gets_lost(seed: int, message: str) -> bool:
    """Whether a short message never arrives: the phone is off, the number is given up."""
    return share(seed, "lost", message) < UNDELIVERED


def answers_r(seed: int, message: str) -> bool:
    """Whether the answer to a marketing short message is R: no more of these."""
    return share(seed, "r", message) < ANSWERED_R


@dataclass
class Person:
    """One inhabitant: rhythm in days between orders, when she looks at her phone, how she answers."""

    id: str
    joined: int  # day
    rhythm: float
    hour: int
    favourite: int
    price_minded: bool
    patience: float  # chance to go silent after any order
    leader: str
    silent: bool = False
    orders: int = 0
    next_order: float = 0.0
    has_ticket: bool = False


@dataclass
class Town:
    """Lives day by day; `begin` is the instant of the first midnight."""

    begin: int
    people_count: int = 220
    seed: int = 7
    people: dict[str, Person] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - a toy town, not a secret
        self._numbers = 0
        for number in range(self.people_count):
            joined = -1 if number < self.people_count // 2 else self._random.randrange(0, 80)
            self._person(f"u{number:04d}", joined)

    def _person(self, user_id: str, joined: int) -> Person:
        draw = self._random
        person = Person(
            user_id, joined, draw.choice([2, 3, 4, 5, 7, 9, 14]), draw.choice([8, 12, 18, 19, 20, 21]), draw.randrange(len(ITEMS)),
            draw.random() < 0.3, draw.choice([0.01, 0.03, 0.06, 0.2]), f"leader{draw.randrange(6)}",
        )  # fmt: skip
        person.next_order = max(joined, 0) + draw.random() * person.rhythm
        if joined >= 0 and draw.random() < 0.45:
            person.next_order = 1e9  # registers, and does not order of herself
        self.people[user_id] = person
        return person

    def records(self) -> list[tuple[str, dict[str, Any]]]:
        """The user records of everybody: names, leaders, identities, consents."""
        found: list[tuple[str, dict[str, Any]]] = []
        draw = random.Random(self.seed + 1)  # noqa: S311 - see above
        for person in self.people.values():
            marketing = draw.random() < 0.85
            consents = {
                "wechat": {"service": True, "marketing": draw.random() < 0.9},
                "sms": {"service": True, "marketing": draw.random() < 0.5},
                "push": {"service": True, "marketing": marketing},
            }
            number = int(person.id[1:])
            traits = {
                "name": f"{SURNAMES[number % len(SURNAMES)]}阿姨", "leader_id": person.leader, "leader_name": f"{SURNAMES[int(person.leader[-1])]}姐",
                "household": draw.choice(["single", "couple", "with_kids", "elders"]),
                "birthday": f"{1 + number % 12:02d}-{1 + number % 28:02d}", "member_level": draw.choice(["normal", "normal", "silver", "gold"]),
            }  # fmt: skip
            identities = {"openid": f"o-{person.id}", "phone": f"+86139{number:08d}", "push_id": f"p-{person.id}"}
            if draw.random() < 0.08:
                del identities["phone"]
            tags = ["订阅菜谱"] if draw.random() < 0.3 else []
            found.append((person.id, {"traits": traits, "identities": identities, "consents": consents, "tags": tags}))
        found.extend((f"leader{n}", {"traits": {"name": f"{SURNAMES[n]}姐"}, "identities": {"wecom_id": f"w-leader{n}", "openid": f"o-leader{n}"}})
                     for n in range(6))  # fmt: skip
        return found

    def day(self, number: int, received: Iterable[dict[str, Any]]) -> list[Event]:
        """The events of one day, given the messages that people received the day before."""
        midnight = self.begin + number * DAY
        events: list[Event] = []
        for message in received:
            self._answer(message, midnight, events)
        for person in self.people.values():
            if person.joined == number:
                self._register(person, midnight, events)
            if person.joined > number:
                continue
            self._live(person, number, midnight, events)
        self._groups(number, midnight, events)
        return sorted(events, key=lambda event: event.time)

    # --- what people tap

    def choices(self, order: Event, templates: Sequence[str]) -> dict[str, bool]:
        """What she says when the page that follows an order asks for three templates: yes, no, or (left out) nothing.

        The first of the templates is asked for after every order, the others in turn.
        """
        first, *others = templates
        others.sort(key=lambda template: share(self.seed, "asked", order.id, template))
        said = {template: share(self.seed, "said", order.id, template) for template in (first, *others[: ASKED - 1])}
        return {template: drawn < ACCEPTED for template, drawn in said.items() if drawn < ACCEPTED + REJECTED}

    # --- what people do

    def _event(self, events: list[Event], type_: str, user_id: str, at: float, **data: Any) -> None:
        self._numbers += 1
        moment = int(at)
        events.append(Event(f"town-{self._numbers}", type_, user_id, moment, moment, data))

    def _moment(self, person: Person, midnight: int) -> float:
        return midnight + person.hour * HOUR + self._random.random() * 50 * MINUTE

    def _register(self, person: Person, midnight: int, events: list[Event]) -> None:
        at = self._moment(person, midnight)
        self._event(events, "user_registered", person.id, at, member_id=person.id, source="邻居分享")
        if self._random.random() < 0.7:
            self._event(events, "leader_bound", person.id, at + 4 * MINUTE, leader_id=person.leader)
        if self._random.random() < 0.6:
            self._view(person, at + 6 * MINUTE, events)

    def _view(self, person: Person, at: float, events: list[Event]) -> None:
        item_id, item, category, _ = ITEMS[person.favourite]
        self._event(events, "deal_viewed", person.id, at, item=item, item_id=item_id, category=category)

    def _live(self, person: Person, number: int, midnight: int, events: list[Event]) -> None:
        if not person.silent and self._random.random() < 1.3 / person.rhythm:
            self._event(events, "app_opened", person.id, self._moment(person, midnight))
        if person.silent or person.next_order >= number + 1:
            return
        self._order(person, self._moment(person, midnight) + 10 * MINUTE, events)
        person.next_order = number + 1 + self._random.expovariate(1 / person.rhythm)
        if self._random.random() < person.patience:
            person.silent = True

    def _order(self, person: Person, at: float, events: list[Event]) -> None:
        draw = self._random
        favourite = draw.random() < 0.6
        item_id, item, category, price = ITEMS[person.favourite if favourite else draw.randrange(len(ITEMS))]
        person.orders += 1
        order_id = f"o-{person.id}-{person.orders}"
        discount = round(price * 0.3, 2) if person.price_minded and draw.random() < 0.85 else 0
        self._event(events, "order_paid", person.id, at, order_id=order_id, amount=round(price - discount, 2), item=item, item_id=item_id,
                    category=category, discount=discount)  # fmt: skip
        arrival = at - at % DAY + DAY + 8 * HOUR
        site = SITES[int(person.leader[-1]) % len(SITES)]
        self._event(events, "order_arrived", person.id, arrival, order_id=order_id, item=item, site=site, code=f"{draw.randrange(10_000):04d}",
                    pickup_from=int(arrival), pickup_until=int(arrival + 12 * HOUR))  # fmt: skip
        if draw.random() < 0.93:
            picked = arrival + draw.random() * 11 * HOUR
            self._event(events, "order_picked_up", person.id, picked, order_id=order_id)
            if draw.random() < 0.15:
                self._event(events, "review_posted", person.id, picked + 2 * HOUR, order_id=order_id, score=draw.randrange(3, 6))
            if draw.random() < 0.025:
                self._complain(person, order_id, picked + HOUR, events)
        elif draw.random() < 0.5:
            self._event(events, "order_refunded", person.id, arrival + 13 * HOUR, order_id=order_id, amount=price, reason="not_picked_up")

    def _complain(self, person: Person, order_id: str, at: float, events: list[Event]) -> None:
        ticket = f"t-{order_id}"
        self._event(
            events, "complaint_filed", person.id, at, ticket_id=ticket, order_id=order_id, kind=self._random.choice(["delivery", "quality"])
        )
        if self._random.random() < 0.9:
            solved = at + (3 + self._random.random() * 40) * HOUR
            self._event(events, "complaint_resolved", person.id, solved, ticket_id=ticket)
        if self._random.random() < 0.5:
            person.silent = True

    def _groups(self, number: int, midnight: int, events: list[Event]) -> None:
        for leader in range(6):
            if self._random.random() > 0.35:
                continue
            group_id = f"g-{leader}-{number}"
            item = self._random.choice(ITEMS)[1]
            opened, cutoff = midnight + 9 * HOUR, midnight + 20 * HOUR
            self._event(events, "group_opened", f"leader{leader}", opened, group_id=group_id, item=item, target=20, cutoff_at=int(cutoff))
            if self._random.random() < 0.7:
                self._event(events, "group_progress", f"leader{leader}", opened + 3 * HOUR, group_id=group_id, percent=55)
            if self._random.random() < 0.8:
                self._event(events, "group_succeeded", f"leader{leader}", cutoff + 5 * MINUTE, group_id=group_id, commission=18)
                self._event(
                    events, "group_arrived", f"leader{leader}", cutoff + 13 * HOUR, group_id=group_id, site=SITES[leader % len(SITES)]
                )
            else:
                self._event(events, "group_failed", f"leader{leader}", cutoff + 5 * MINUTE, group_id=group_id)

    # --- how they answer

    def _answer(self, message: dict[str, Any], midnight: int, events: list[Event]) -> None:
        person = self.people.get(message["user_id"])
        if person is None:
            return
        at = midnight + person.hour * HOUR + self._random.random() * HOUR
        if message["step"] == "ask" and self._random.random() < 0.4:
            score = self._random.choice([1, 3, 4, 5, 5])
            extra = {"reason": self._random.choice(["delivery", "quality", "price"])} if score < 4 else {}
            order_id = f"o-{person.id}-{person.orders}"
            self._event(events, "survey_answered", person.id, at, order_id=order_id, score=score, **extra)
            return
        if message["purpose"] != "marketing" or self._random.random() > 0.3:
            return
        self._event(events, "app_opened", person.id, at)
        chance = 0.35 if person.price_minded and message["template"] in ("coupon_arrived", "coupon_expiring") else 0.18
        if self._random.random() < chance:
            person.silent = False
            self._order(person, at + 5 * MINUTE, events)
            person.next_order = (at - self.begin) / DAY + person.rhythm
