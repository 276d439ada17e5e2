"""From a source's names to ours: what config says, else snake_case; what is spelt like ours goes before what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.intake.naming import Naming, snake


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("PayOrder", "pay_order"), ("payOrder", "pay_order"), ("Pay Order", "pay_order"), ("pay-order.v2", "pay_order_v2"), ("$PayOrder", "pay_order"),
        ("$MPViewScreen", "mp_view_screen"), ("HTTPStatus2Text", "http_status2_text"), ("pay_order", "pay_order"), ("下单", "下单"), ("", ""), ("$", ""),
    ],
)  # fmt: skip
def test_names_become_snake_case(name, ours):
    assert snake(name) == ours


@given(st.text(max_size=20))
def test_our_names_stay_as_they_are(name):
    assert snake(snake(name)) == snake(name)


def test_config_goes_before_the_name_itself():
    naming = Naming({"PayOrder": "order_paid"})

    assert (naming.event("PayOrder"), naming.event("ViewDeal")) == ("order_paid", "view_deal")


def test_a_property_of_one_event_goes_before_the_same_of_all():
    naming = Naming({}, {"View.name": "item", "name": "title"})

    assert naming.fields("View", {"name": "a"}).values == {"item": "a"}
    assert naming.fields("Buy", {"name": "a"}).values == {"title": "a"}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"$title": "", "title": "own"}, {"title": "own"}),  # the mini-program's own $title must not hide the shop's title
        ({"$title": "page", "Name": "mapped"}, {"title": "mapped"}),
        ({"title": "own", "Name": "mapped"}, {"title": "mapped"}),
    ],
)
def test_two_names_that_become_one(given, expected, turned):
    pairs = reversed(given.items()) if turned else given.items()

    found = Naming({}, {"Name": "title"}).fields("View", dict(pairs))

    assert found.values == expected
    assert set(found.said) == {"title"}


def test_how_a_name_was_spelt_is_remembered():
    assert Naming({}, {}, {"City": "city"}).profile({"City": "上海", "nickName": "a"}).said == {"city": "City", "nick_name": "nickName"}
