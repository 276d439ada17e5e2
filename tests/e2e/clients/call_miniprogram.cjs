// Every call of the mini-program SDK of Sensors Analytics, in a stand-in of WeChat: `node miniprogram.cjs SDK ADDRESS [MILLISECONDS SLOW]`.
const http = require("node:http");
const [sdk, address, slow] = process.argv.slice(2);

if (slow) {
  // a phone whose clock is wrong
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...given) {
      given.length ? super(...given) : super(Real.now() - Number(slow));
    }
    static now() {
      return Real.now() - Number(slow);
    }
  };
}

const open = new Set();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const SHOP = "https://shop.example.com/openid?of=";

function request({ url, method, data, header, success, fail, complete }) {
  if (url.startsWith(SHOP)) {
    // the shop's own server, which asks WeChat whose code it is
    const answer = { statusCode: 200, data: { openid: url.slice(SHOP.length).split("&")[0] } };
    success?.(answer);
    complete?.(answer);
    return { abort() {} };
  }
  const done = new Promise((resolve) => {
    const sent = http.request(url, { method, headers: header }, (answer) => {
      answer.resume();
      answer.on("end", () => {
        success?.({ statusCode: answer.statusCode, data: "" });
        complete?.({});
        resolve();
      });
    });
    sent.on("error", (error) => {
      fail?.({ errMsg: error.message });
      complete?.({});
      resolve();
    });
    sent.end(data);
  });
  open.add(done);
  done.then(() => open.delete(done));
  return { abort() {} };
}

const hides = [];

function phone() {
  const kept = new Map();
  hides.length = 0;
  const system = { brand: "HUAWEI", model: "P60", system: "HarmonyOS 4", platform: "android", screenWidth: 360, screenHeight: 780,
    windowWidth: 360, windowHeight: 700, SDKVersion: "3.0.0", version: "8.0.50", language: "zh_CN" };
  const known = {
    request,
    login: ({ success }) => success({ code: "c1" }),
    onAppHide: (told) => void hides.push(told),
    getStorageSync: (key) => kept.get(key) ?? "",
    setStorageSync: (key, value) => void kept.set(key, value),
    getStorage: ({ key, success, fail, complete }) => {
      const found = { data: kept.get(key) };
      kept.has(key) ? success?.(found) : fail?.({});
      complete?.(found);
    },
    setStorage: ({ key, data, complete }) => (kept.set(key, data), complete?.({})),
    getSystemInfo: ({ success, complete }) => (success?.(system), complete?.(system)),
    getSystemInfoSync: () => system,
    getDeviceInfo: () => system,
    getAppBaseInfo: () => system,
    getWindowInfo: () => system,
    getNetworkType: ({ success, complete }) => (success?.({ networkType: "wifi" }), complete?.({})),
    getAccountInfoSync: () => ({ miniProgram: { appId: "wx0123456789abcdef", version: "1.4.0" } }),
    getLaunchOptionsSync: () => ({ path: "pages/home", query: {}, scene: 1001 }),
  };
  globalThis.wx = new Proxy(known, { get: (all, name) => all[name] ?? (() => {}) });
  globalThis.App = globalThis.Page = globalThis.Component = (given) => given;
  globalThis.getApp = () => ({});
  globalThis.getCurrentPages = () => [{ route: "pages/home", options: {} }];
}

async function start(more = {}, begin = (sa) => sa.init()) {
  phone();
  delete require.cache[require.resolve(sdk)];
  const found = require(sdk);
  const sa = found.default ?? found;
  sa.setPara({ server_url: `${address}/sa?project=default`, batch_send: { send_timeout: 3600000, max_length: 100 }, autoTrack: false,
    show_log: false, appid: "wx0123456789abcdef", ...more });
  begin(sa);
  await pause(5);
  return sa;
}

// The app goes to the background: the SDK sends what it has.
async function hide() {
  hides.forEach((told) => told());
  await pause(1);
  while (open.size) await Promise.all(open);
}

async function call(text, key, calls, more, begin) {
  const sa = await start(more, begin);
  const names = { [sa.getIdentities().$identity_mp_id]: "phone" };
  process.stdout.write(JSON.stringify({ call: text, key, names }) + "\n");
  await calls(sa, `${key}-user`, `${key}-device`);
  await hide();
}

const view = (sa, key, more) => sa.track("ViewDeal", { item: "番茄", mark: key, ...more });

async function everything() {
  await call("track", "mp-track", (sa) => view(sa, "mp-track", { Price: 9.9, labels: ["生鲜"], at: new Date(1714536000005) }));
  await call("track, batch_send: false (GET)", "mp-get", (sa) => view(sa, "mp-get"), { batch_send: false });
  await call("track, batch_send: false, a server_url without a query", "mp-bare", (sa) => view(sa, "mp-bare"),
    { batch_send: false, server_url: `${address}/sa` });
  await call("track; then login, track", "mp-login", async (sa, user) => {
    view(sa, "mp-login");
    await hide();
    sa.login(user);
    view(sa, "mp-login", { item: "生菜" });
  });
  await call("track, login, track in one request", "mp-oneshot", (sa, user) => (
    view(sa, "mp-oneshot"), sa.login(user), view(sa, "mp-oneshot", { item: "生菜" })));
  await call("login, logout, track", "mp-logout", (sa, user) => (sa.login(user), sa.logout(), view(sa, "mp-logout")));
  await call("login, logout, login of somebody else, track", "mp-second", async (sa, user, device) => {
    sa.login(user);
    await hide();
    sa.logout();
    sa.login(`${device}-owner`);
    view(sa, "mp-second");
  });
  await call("identify, track", "mp-identify", (sa, user, device) => (sa.identify(device), view(sa, "mp-identify")));
  await call("bindOpenid, track", "mp-openid", (sa, user) => (sa.bindOpenid(user), view(sa, "mp-openid")));
  await call("login, bind, unbind, track", "mp-bind", (sa, user, device) => (
    sa.login(user), sa.bind("$identity_idfv", device), sa.unbind("$identity_idfv", device), view(sa, "mp-bind")));
  await call("login, bindUnionid, unbindUnionid", "mp-unionid", (sa, user, device) => (
    sa.login(user), sa.bindUnionid(device), sa.unbindUnionid(device)));
  await call("setOpenid, track", "mp-setopenid", (sa, user) => (sa.setOpenid(user), view(sa, "mp-setopenid")));
  await call("setOpenid of one that a signed source has told, track", "mp-told", (sa, user, device) => (
    sa.setOpenid(device), view(sa, "mp-told")));
  await call("login, setOpenid, track, unsetOpenid, track", "mp-unsetopenid", (sa, user, device) => {
    sa.login(user);
    sa.setOpenid(device);
    view(sa, "mp-unsetopenid");
    sa.unsetOpenid(device);
    view(sa, "mp-unsetopenid", { item: "生菜" });
  });
  await call("setOpenid, track, unsetOpenid, track", "mp-takenback", (sa, user, device) => {
    sa.setOpenid(device);
    view(sa, "mp-takenback");
    sa.unsetOpenid(device);
    view(sa, "mp-takenback", { item: "生菜" });
  });
  await call("login, bindOpenid, unbindOpenid, track", "mp-unbindopenid", (sa, user, device) => (
    sa.login(user), sa.bindOpenid(device), sa.unbindOpenid(device), view(sa, "mp-unbindopenid")));
  await call("initWithOpenid, track", "mp-withopenid", (sa) => view(sa, "mp-withopenid"), { openid_url: `${SHOP}mp-withopenid-device` },
    (sa) => sa.initWithOpenid({ appid: "wx0123456789abcdef" }));
  await call("setUnionid, track", "mp-setunionid", (sa, user) => (sa.setUnionid(user), view(sa, "mp-setunionid")));
  await call("login, setUnionid, unsetUnionid, track", "mp-unsetunionid", (sa, user, device) => (
    sa.login(user), sa.setUnionid(device), sa.unsetUnionid(device), view(sa, "mp-unsetunionid")));
  await call("track, trackSignup, track", "mp-signup", (sa, user) => (
    view(sa, "mp-signup"), sa.trackSignup(user, "$SignUp", { shop: "s1" }), view(sa, "mp-signup", { item: "生菜" })));
  await call("track, loginWithKey, track", "mp-withkey", (sa, user) => (
    view(sa, "mp-withkey"), sa.loginWithKey("member_no", user), view(sa, "mp-withkey", { item: "生菜" })));
  await call("track, loginWithKey of a phone, track", "mp-withphone", (sa) => (
    view(sa, "mp-withphone"), sa.loginWithKey("$identity_mobile", "13800138000"), view(sa, "mp-withphone", { item: "生菜" })));
  await call("track, resetAnonymousIdentity, track", "mp-reset", (sa, user, device) => (
    view(sa, "mp-reset"), sa.resetAnonymousIdentity(device), view(sa, "mp-reset", { item: "生菜" })));
  await call("setProfile", "mp-set", (sa, user) => (sa.login(user), sa.setProfile({ city: "上海", Level: "gold", nick: "阿姨" })));
  await call("setOnceProfile, twice", "mp-once", (sa, user) => (
    sa.login(user), sa.setOnceProfile({ city: "上海" }), sa.setOnceProfile({ city: "北京" })));
  await call("incrementProfile, twice", "mp-inc", (sa, user) => (
    sa.login(user), sa.incrementProfile({ points: 3 }), sa.incrementProfile({ points: 4 })));
  await call("appendProfile, twice", "mp-append", (sa, user) => (
    sa.login(user), sa.appendProfile({ labels: ["a", "b"] }), sa.appendProfile({ labels: ["b", "c"] })));
  await call("registerApp, track", "mp-register", (sa) => (sa.registerApp({ shop: "s1" }), view(sa, "mp-register")));
  await call("registerApp, clearAppRegister, track", "mp-clearapp", (sa) => (
    sa.registerApp({ title: "首页", shop: "s1" }), sa.clearAppRegister(["shop"]), view(sa, "mp-clearapp")));
  await call("register, track, clearAllProps, track, clearAllRegister, track", "mp-clear", (sa) => {
    sa.register({ item_id: "i1", price: 9.9 });
    sa.track("ViewDeal", { item: "番茄", mark: "mp-clear" });
    sa.clearAllProps(["price"]);
    view(sa, "mp-clear", { item: "生菜" });
    sa.clearAllRegister();
    view(sa, "mp-clear", { item: "土豆" });
  });
  await call("quick: appLaunch, appShow, appHide; pageShow", "mp-quick", (sa, user) => {
    sa.login(user);
    sa.quick("appLaunch", { path: "pages/home", query: {}, scene: 1001 });
    sa.quick("appShow", { path: "pages/home", query: {}, scene: 1001 });
    sa.pageShow({ title: "首页" });
    sa.quick("appHide");
  });
  await call("appLaunch, appShow, pageShow, sendPageLeave, appHide", "mp-app", (sa, user) => {
    sa.login(user);
    sa.appLaunch({ path: "pages/home", query: {}, scene: 1001 });
    sa.appShow({ path: "pages/home", query: {}, scene: 1001 });
    sa.pageShow({ title: "首页" });
    sa.sendPageLeave();
    sa.appHide();
  });
}

const one = () => call("track by a phone whose clock is slow", "mp-slow", (sa) => view(sa, "mp-slow"));
(slow ? one() : everything()).then(() => process.exit(0)); // the SDK's timers would keep the process
