"""Every call of the Python SDK of Sensors Analytics: `sensors.py ADDRESS TOKEN`."""

import sys
from datetime import date, datetime

import sensorsanalytics as sa
from case import case
from sensorsanalytics.sdk import SensorsAnalyticsIdentity as Identity

address, token = sys.argv[1:]
URL = f"{address}/sa?project=shop&token={token}"
NOON = datetime(2024, 5, 1, 12, 0, 0, 5000)  # noqa: DTZ001 - the SDK takes times without a zone

one = sa.SensorsAnalytics(sa.DefaultConsumer(URL))
one.register_super_properties({"$app_version": "1.4"})

user, device = case("track", "sp-track")
one.track(
    device,
    "ViewDeal",
    {"item": "番茄", "Price": 9.9, "labels": ["生鲜", "水果"], "seen_at": NOON, "day": date(2024, 5, 1), "$title": "首页"},
)
user, device = case("track, is_login_id", "sp-login")
one.track(user, "ViewDeal", {"item": "番茄"}, is_login_id=True)
user, device = case("track with $time", "sp-time")
one.track(device, "ViewDeal", {"item": "番茄", "$time": NOON})
user, device = case("track, an event that only a signed source may assert", "sp-pay")
one.track(user, "PayOrder", {"order_id": "o1", "amount": 1}, is_login_id=True)
user, device = case("track, $project and $token of its own", "sp-project")
one.track(device, "ViewDeal", {"item": "番茄", "$project": "shop", "$token": token})
user, device = case("track, another $project", "sp-other")
one.track(device, "ViewDeal", {"item": "番茄", "$project": "elsewhere"})
user, device = case("track, a wrong $token", "sp-token")
one.track(device, "ViewDeal", {"item": "番茄", "$token": "guess"})
user, device = case("track, then track_signup, then track under the new id", "sp-signup")
one.track(device, "ViewDeal", {"item": "番茄"})
one.track_signup(user, device, {"$title": "注册"})
one.track(user, "ViewDeal", {"item": "生菜"})
user, device = case("track_signup of a device that nobody has seen, which then goes on", "sp-early")
one.track_signup(user, device)
one.track(device, "ViewDeal", {"item": "番茄"})

user, device = case("bind, track_by_id", "sp-bind")
login, mine = Identity(Identity.LOGIN_ID, user), Identity("$identity_cookie_id", device)
phone = Identity(Identity.MOBILE, "13800138000")
one.bind(login, mine, phone)
one.track_by_id("ViewDeal", {"item": "番茄"}, mine)
user, device = case("bind, then unbind, then track_by_id", "sp-unbind")
login, mine = Identity(Identity.LOGIN_ID, user), Identity("$identity_idfv", device)
one.bind(login, mine)
one.unbind(mine)
one.track_by_id("ViewDeal", {"item": "番茄"}, mine)
user, device = case("profile_set_by_id of an openid alone", "sp-openid")
one.profile_set_by_id({"city": "上海"}, Identity("$identity_mp_openid", device))
user, device = case("profile_set_by_id of a login id and a device, then track_by_id of the device", "sp-setid")
login, mine = Identity(Identity.LOGIN_ID, user), Identity("$identity_cookie_id", device)
one.profile_set_by_id({"city": "上海", "Level": "gold"}, login, mine)
one.track_by_id("ViewDeal", {"item": "番茄"}, mine)
user, device = case("profile_set_once_by_id, twice", "sp-onceid")
login = Identity(Identity.LOGIN_ID, user)
one.profile_set_once_by_id({"city": "上海"}, login)
one.profile_set_once_by_id({"city": "北京"}, login)
user, device = case("profile_increment_by_id, twice", "sp-incid")
login = Identity(Identity.LOGIN_ID, user)
one.profile_increment_by_id({"points": 3}, login)
one.profile_increment_by_id({"points": 4}, login)
user, device = case("profile_append_by_id, twice", "sp-appendid")
login = Identity(Identity.LOGIN_ID, user)
one.profile_append_by_id({"labels": ["a", "b"]}, login)
one.profile_append_by_id({"labels": ["b", "c"]}, login)
user, device = case("profile_set_by_id, profile_unset_by_id", "sp-unsetid")
login = Identity(Identity.LOGIN_ID, user)
one.profile_set_by_id({"city": "上海", "points": 1}, login)
one.profile_unset_by_id(["city"], login)
user, device = case("profile_set_by_id, profile_delete_by_id", "sp-deleteid")
login = Identity(Identity.LOGIN_ID, user)
one.profile_set_by_id({"city": "上海", "points": 1}, login)
one.profile_delete_by_id(login)
user, device = case("profile calls by_id of a device alone: set, set_once, increment, append, unset", "sp-deviceid")
mine = Identity("$identity_idfv", device)
one.profile_set_by_id({"city": "上海", "Level": "gold"}, mine)
one.profile_set_once_by_id({"city": "北京"}, mine)
one.profile_increment_by_id({"points": 3}, mine)
one.profile_append_by_id({"labels": ["a"]}, mine)
one.profile_unset_by_id(["Level"], mine)
user, device = case("profile_set_by_id, profile_delete_by_id of an openid alone", "sp-openidgone")
mine = Identity("$identity_mp_openid", device)
one.profile_set_by_id({"city": "上海"}, mine)
one.profile_delete_by_id(mine)
user, device = case("profile_set_by_id of a phone alone", "sp-phoneid")
one.profile_set_by_id({"city": user}, Identity(Identity.MOBILE, "13800138000"))

user, device = case("profile_set", "sp-set")
one.profile_set(device, {"city": "上海", "Level": "gold", "birthday": date(1990, 2, 3), "labels": ["a"], "joined_at": NOON})
user, device = case("profile_set, is_login_id", "sp-setlogin")
one.profile_set(user, {"city": "上海"}, is_login_id=True)
user, device = case("profile_set_once, twice", "sp-once")
one.profile_set_once(user, {"city": "上海"}, is_login_id=True)
one.profile_set_once(user, {"city": "北京"}, is_login_id=True)
user, device = case("profile_increment, twice", "sp-inc")
one.profile_increment(user, {"points": 3}, is_login_id=True)
one.profile_increment(user, {"points": 4}, is_login_id=True)
user, device = case("profile_append, twice", "sp-append")
one.profile_append(user, {"labels": ["a", "b"]}, is_login_id=True)
one.profile_append(user, {"labels": ["b", "c"]}, is_login_id=True)
user, device = case("profile_set, profile_unset", "sp-unset")
one.profile_set(user, {"city": "上海", "points": 1}, is_login_id=True)
one.profile_unset(user, ["city"], is_login_id=True)
user, device = case("profile_set, profile_delete", "sp-delete")
one.profile_set(user, {"city": "上海", "points": 1}, is_login_id=True)
one.profile_delete(user, is_login_id=True)
user, device = case("item_set", "sp-item")
one.item_set("deal", user, {"title": "番茄", "price": 9.9, "labels": ["生鲜"]})
user, device = case("item_set, item_delete", "sp-gone")
one.item_set("deal", user, {"title": "番茄"})
one.item_delete("deal", user)

user, device = case("BatchConsumer: 3 events", "sp-batch")
batch = sa.SensorsAnalytics(sa.BatchConsumer(URL, max_size=2))
for item in "abc":
    batch.track(device, "ViewDeal", {"item": item})
batch.close()
user, device = case("AsyncBatchConsumer: 3 events", "sp-async")
later = sa.SensorsAnalytics(sa.AsyncBatchConsumer(URL, flush_max_time=0.05))
for item in "abc":
    later.track(device, "ViewDeal", {"item": item})
later.close()
user, device = case("project_name in the SDK, none in the URL", "sp-named")
named = sa.SensorsAnalytics(sa.DefaultConsumer(f"{address}/sa?token={token}"), project_name="shop")
named.track(device, "ViewDeal", {"item": "番茄"})
user, device = case("a project in the URL that no source has", "sp-stray")
stray = sa.SensorsAnalytics(sa.DefaultConsumer(f"{address}/sa?project=elsewhere"))
stray.track(device, "ViewDeal", {"item": "番茄"})

user, device = case("DebugConsumer", "sp-debug")
debug = sa.SensorsAnalytics(sa.DebugConsumer(URL))
sys.stdout, stdout = sys.stderr, sys.stdout  # it prints what it sends
debug.track(device, "ViewDeal", {"item": "番茄"})
sys.stdout = stdout
user, device = case("DebugConsumer, write_data=False", "sp-dry")
dry = sa.SensorsAnalytics(sa.DebugConsumer(URL, write_data=False))
sys.stdout = sys.stderr
dry.track(device, "ViewDeal", {"item": "番茄"})
sys.stdout = stdout
user, device = case("DebugConsumer, what is not taken: it raises", "sp-refused")
sys.stdout = sys.stderr
for consumer in (dry, debug):
    try:
        consumer.track(device, "PayOrder", {"amount": 1})
    except sa.SensorsAnalyticsDebugException:
        continue
    raise SystemExit("the SDK was not told")
