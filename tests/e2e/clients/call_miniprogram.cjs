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

function request({ url, method, data, header, success, fail, complete }) {
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

async function start(more = {}) {
  phone();
  delete require.cache[require.resolve(sdk)];
  const found = require(sdk);
  const sa = found.default ?? found;
  sa.setPara({ server_url: `${address}/sa?project=default`, batch_send: { send_timeout: 3600000, max_length: 100 }, autoTrack: false,
    show_log: false, appid: "wx0123456789abcdef", ...more });
  sa.init();
  await pause(5);
  return sa;
}

// The app goes to the background: the SDK sends what it has.
async function hide() {
  hides.forEach((told) => told());
  await pause(1);
  while (open.size) await Promise.all(open);
}

async function call(text, key, calls, more) {
  const sa = await start(more);
  const names = { [sa.getAnonymousID()]: "phone" };
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
  await call("setProfile", "mp-set", (sa, user) => (sa.login(user), sa.setProfile({ city: "上海", Level: "gold", nick: "阿姨" })));
  await call("setOnceProfile, twice", "mp-once", (sa, user) => (
    sa.login(user), sa.setOnceProfile({ city: "上海" }), sa.setOnceProfile({ city: "北京" })));
  await call("incrementProfile, twice", "mp-inc", (sa, user) => (
    sa.login(user), sa.incrementProfile({ points: 3 }), sa.incrementProfile({ points: 4 })));
  await call("appendProfile, twice", "mp-append", (sa, user) => (
    sa.login(user), sa.appendProfile({ labels: ["a", "b"] }), sa.appendProfile({ labels: ["b", "c"] })));
  await call("registerApp, track", "mp-register", (sa) => (sa.registerApp({ shop: "s1" }), view(sa, "mp-register")));
  await call("quick: appLaunch, appShow, appHide; pageShow", "mp-quick", (sa, user) => {
    sa.login(user);
    sa.quick("appLaunch", { path: "pages/home", query: {}, scene: 1001 });
    sa.quick("appShow", { path: "pages/home", query: {}, scene: 1001 });
    sa.pageShow({ title: "首页" });
    sa.quick("appHide");
  });
}

const one = () => call("track by a phone whose clock is slow", "mp-slow", (sa) => view(sa, "mp-slow"));
(slow ? one() : everything()).then(() => process.exit(0)); // the SDK's timers would keep the process
