"""Who a user is, in the terminal: a line for each thing that is known."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runtime.policy import ADDRESS_OF
from runtime.portrait import CapUse, Portrait
from runtime.wording import Wording

MOST_TRAITS = 24
SHOWN_ENDS = 4  # characters of an address that are shown at its end


def head(console: Console, portrait: Portrait, wording: Wording) -> None:
    """Who she is, a line for each thing that is known."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for key, text in _head(portrait, wording):
        table.add_row(Text(wording(key)), Text(text))
    console.print(table)


def _head(portrait: Portrait, wording: Wording) -> Iterable[tuple[str, str]]:
    if portrait.stage:
        yield "who_stage", wording.stage(portrait.stage)
    if portrait.stops:
        yield "who_stops", wording.listed(portrait.stops)
    left = [name for name in portrait.by_edit if name not in portrait.segments]
    if portrait.segments or left:
        told = [wording.segment(name) + _by_edit("in_by_edit", name, portrait, wording) for name in portrait.segments]
        told += [_by_edit("out_by_edit", name, portrait, wording) for name in left]
        yield "who_segments", wording.listed(told)
    if portrait.tags:
        yield "who_tags", wording.listed([wording.short(tag) for tag in portrait.tags])
    every = {name: value for name, value in {**portrait.traits, **portrait.other}.items() if name != "name"}
    known = {name: value for name, value in every.items() if value != 0 or isinstance(value, bool)}
    if every:
        first = dict(list(known.items())[:MOST_TRAITS])
        more = [wording("and_more", n=len(known) - len(first))] if len(known) > len(first) else []
        zeros = [wording("zeros", n=len(every) - len(known))] if len(every) > len(known) else []
        yield "who_traits", wording.joined([wording.values(first), *more, *zeros])
    if portrait.unfit:
        yield "who_unfit", wording.values({name: str(value) for name, value in portrait.unfit.items()})
    for channel, answers in portrait.consents.items():
        address = portrait.addresses.get(ADDRESS_OF[channel]) or (portrait.user_id if channel == "wecom" else None)
        if address is None and not {"yes", "no", "stopped"} & set(answers.values()):
            continue  # nobody ever spoke of this channel
        said = [f"{wording.channel(purpose)} {wording(f'says_{answer}')}" for purpose, answer in answers.items()]
        yield "who_reach", f"{wording.channel(channel)} {masked(address) if address else wording('no_address')}: {wording.listed(said)}"
    if portrait.credits:
        yield "who_credits", wording.listed([wording("credits", template=name, n=n) for name, n in portrait.credits.items()])
    if portrait.caps:
        yield "who_caps", wording.joined([_cap(cap, wording) for cap in portrait.caps])
    yield from _holdouts(portrait, wording)
    if portrait.former:
        yield "who_former", wording.listed(portrait.former)


def _by_edit(key: str, name: str, portrait: Portrait, wording: Wording) -> str:
    release = portrait.by_edit.get(name)
    return wording(key, segment=wording.segment(name), n=release) if release is not None else ""


def _cap(cap: CapUse, wording: Wording) -> str:
    key = "cap_use" if cap.frees_at is None else "cap_frees"
    return wording(key, cap=cap.cap, used=cap.used, at=wording.at(cap.frees_at))


def _holdouts(portrait: Portrait, wording: Wording) -> Iterable[tuple[str, str]]:
    names = {name: wording("the_project") if name == "project" else name for name in portrait.holdouts}
    out = [
        wording("is_out", name=names[name], place=wording.value("", draw.place / 100), share=wording.value("", draw.share / 100))
        for name, draw in portrait.holdouts.items() if draw.is_out
    ]  # fmt: skip
    others = [names[name] for name, draw in portrait.holdouts.items() if not draw.is_out]
    if out or others:
        yield "who_holdouts", wording.joined([*out, *([wording("is_in", names=wording.listed(others))] if others else [])])


def masked(address: str) -> str:
    """An address of which only the ends are shown; --json has it whole."""
    if len(address) <= 2 * SHOWN_ENDS:
        return address
    return f"{address[:SHOWN_ENDS]}…{address[-SHOWN_ENDS:]}"
