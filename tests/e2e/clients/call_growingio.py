"""Every call of the Python SDK of GrowingIO: `growingio.py ADDRESS PROJECT`."""

import sys

from case import NOON, case
from growingio_tracker import AsyncBufferedConsumer, BufferedConsumer, DebugConsumer, GrowingTracker
from growingio_tracker.message import CustomEventMessage, ItemMessage, UserLoginMessage

address, project = sys.argv[1:]
one = GrowingTracker(project, "source-1", address)

user, device = case("track_custom_event", "gp-track")
one.track_custom_event("ViewDeal", anonymous_id=device, attributes={"item": "番茄", "price": 9.9, "labels": ["生鲜", "水果"]})
user, device = case("track_custom_event with an event_time", "gp-time")
one.track_custom_event("ViewDeal", event_time=NOON, login_user_id=user, attributes={"item": "番茄"})
user, device = case("track_custom_event, then with a login", "gp-login")
one.track_custom_event("ViewDeal", anonymous_id=device, attributes={"item": "番茄"})
one.track_custom_event("ViewDeal", anonymous_id=device, login_user_id=user, attributes={"item": "生菜"})
user, device = case("track_custom_event, userKey openid", "gp-openid")
one.track_custom_event("ViewDeal", anonymous_id=device, login_user_key="openid", login_user_id=user, attributes={"item": "番茄"})
user, device = case("track_custom_event, userKey phone", "gp-phone")
one.track_custom_event("ViewDeal", login_user_key="phone", login_user_id="13800138000", attributes={"item": user})
user, device = case("track_custom_event, an event that only a signed source may assert", "gp-pay")
one.track_custom_event("PayOrder", login_user_id=user, attributes={"amount": 1})
user, device = case("track_custom_event of nobody", "gp-nobody")
one.track_custom_event("ViewDeal", attributes={"item": user})
user, device = case("track(CustomEventMessage)", "gp-message")
one.track(CustomEventMessage.EventBuilder().set_event_name("ViewDeal").set_anonymous_id(device).add_attribute("item", "番茄").build())
user, device = case("track_user", "gp-user")
one.track_user(login_user_id=user, attributes={"city": "上海", "Level": "gold", "labels": ["a", "b"], "points": 3})
user, device = case("track_user, userKey openid", "gp-useropenid")
one.track_user(login_user_key="openid", login_user_id=user, attributes={"city": "上海"})
user, device = case("track_custom_event of a device, track_user with both ids, track_custom_event of the device", "gp-userboth")
one.track_custom_event("ViewDeal", anonymous_id=device, attributes={"item": "番茄"})
one.track_user(login_user_id=user, anonymous_id=device, attributes={"city": "上海"})
one.track_custom_event("ViewDeal", anonymous_id=device, attributes={"item": "生菜"})
user, device = case("track_user, the device alone", "gp-userdevice")
one.track_user(anonymous_id=device, attributes={"city": "上海"})
user, device = case("track_user, userKey openid, with a device", "gp-openidboth")
one.track_user(login_user_key="openid", login_user_id=user, anonymous_id=device, attributes={"city": "上海"})
user, device = case("track_user with an event_time", "gp-usertime")
one.track_user(login_user_id=user, event_time=NOON, attributes={"city": "上海"})
user, device = case("track(UserLoginMessage)", "gp-usermessage")
made = UserLoginMessage.UserBuilder().set_login_user_id(user).set_anonymous_id(device)
one.track(made.add_attribute("city", "上海").add_attribute("labels", ["a", "b"]).build())
user, device = case("submit_item", "gp-item")
one.submit_item("deal", user, {"title": "番茄", "price": 9.9})
user, device = case("track(ItemMessage)", "gp-itemmessage")
one.track(ItemMessage.ItemBuilder().set_item_key("deal").set_item_id(user).add_attribute("title", "番茄").build())

user, device = case("BufferedConsumer: 3 events", "gp-buffered")
consumer = BufferedConsumer(project, "source-1", address, max_size=2)
buffered = GrowingTracker.consumer(consumer)
for item in "abc":
    buffered.track_custom_event("ViewDeal", anonymous_id=device, attributes={"item": item})
consumer.flush()
user, device = case("AsyncBufferedConsumer: 3 events", "gp-async")
consumer = AsyncBufferedConsumer(project, "source-1", address, max_size=3, flush_after=0.05)
later = GrowingTracker.consumer(consumer)
for item in "abc":
    later.track_custom_event("ViewDeal", anonymous_id=device, attributes={"item": item})
consumer.stop()
user, device = case("DebugConsumer: an event, a user, an item", "gp-debug")
sys.stdout, stdout = sys.stderr, sys.stdout  # it prints what it sends
debug = GrowingTracker.consumer(DebugConsumer(project, "source-1", address))
debug.track_custom_event("ViewDeal", anonymous_id=device, login_user_id=user, attributes={"item": "番茄"})
debug.track_user(login_user_id=user, attributes={"city": "上海"})
debug.submit_item("deal", user, {"title": "番茄"})
sys.stdout = stdout
user, device = case("a project that no source has", "gp-stray")
GrowingTracker("elsewhere", "source-1", address).track_custom_event("ViewDeal", anonymous_id=device, attributes={"item": "番茄"})
