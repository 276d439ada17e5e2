"""`journeyd check`: 200 files of 12 steps, cold and when nothing has changed; 200 tests in the files. Whole commands, start included.

Beside it the floor: the start of Python, and a bare parse of the same YAML files.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from common import ROOT, Printout, scratch
from ruamel.yaml import YAML

FILES, STEPS = 200, 12
CONFIG = (ROOT / "config.toml").read_text(encoding="utf-8").replace('path = "journeys/definitions"', 'path = "journeys"')
JOURNEY = """\
id: {id}
name: 第 {n} 个旅程
description: 沉睡老客，先看原因再说话；三天没来送一张券，到期前一天提醒
owner: growth
status: live
purpose: marketing
topic: win_back
priority: {priority}
entry: {{segment: dormant_30d, existing: skip, reentry: {{after: 60d}}}}
goal: {{event: order_paid, where: event.amount > {n}, within: 14d}}
max_lateness: 6h
on_late: skip
steps:
  - id: best_time
    delay: {{until: user.active_hour, if_missing: "18:30"}}
  - if: segment('bargain_hunter')
    exit: bargain_hunter
  - id: reason
    branch:
      - when: segment('unhappy_delivery')
        steps:
          - id: say_delivery
            send:
              - wechat: {{template: service_upgrade, page: pages/service, data: {{title: 新升级配送服务上线, note: 下单即享准时达保障}}}}
              - push: {{title: 上次让您久等了, body: 配送已升级，下单即享准时达保障}}
      - when: user.favourite_item is known
        steps:
          - id: favourite
            send:
              - wechat: {{template: on_sale, page: pages/today, data: {{title: "您常买的{{{{ user.favourite_item | truncate(12) }}}}", note: 今天又开团了}}}}
              - push: {{title: 您常买的又开团了, body: "{{{{ user.favourite_item }}}}，明天自提"}}
    otherwise:
      - id: say_hello
        send: [{{wechat: {{template: on_sale, page: pages/today, data: {{title: 邻居们最近在拼, note: 本周小区爆款榜更新了}}}}}}]
  - id: response
    delay: 3d
  - id: gift
    grant: {{benefit: winback_30_6, expires: 5d}}
    on_failed: [{{exit: budget_used_up}}]
  - id: gift_notice
    send:
      - wechat: {{template: coupon_arrived, page: "pages/coupons?c={{{{ steps.gift.code }}}}", data: {{title: 满 30 减 6 已到账, amount: 6元}}}}
      - sms: {{template: winback_coupon}}
    expires: steps.gift.expires_at
  - id: before_expiry
    delay: {{until: steps.gift.expires_at, offset: -1d, if_past: exit}}
  - id: expiring
    send: [{{wechat: {{template: coupon_expiring, page: pages/coupons, data: {{title: 满 30 减 6 券, until: "{{{{ steps.gift.expires_at | date('%Y年%-m月%-d日 %H:%M') }}}}"}}}}}}]
    expires: steps.gift.expires_at
tests:
  - name: 三天没来，送券，到期前一天提醒
    at: "2026-12-01 10:00"
    user: {{last_order_at: 31d ago, favourite_item: 车厘子}}
    expect:
      - {{at: "2026-12-01 18:30", send: wechat, step: favourite, contains: 车厘子}}
      - {{at: "2026-12-04 18:30", grant: winback_30_6}}
      - {{at: "2026-12-04 18:30", send: wechat, step: gift_notice}}
      - {{at: "2026-12-08 18:30", send: wechat, step: expiring}}
      - {{at: "2026-12-08 18:30", end: completed}}
"""
COMMAND = [sys.executable, "-c", "import sys; from runtime.cli import run; sys.exit(run(sys.argv[1:]))"]


def make(folder: Path) -> list[Path]:
    (folder / "journeys").mkdir()
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    definitions = ROOT / "journeys" / "definitions"
    (folder / "journeys" / "audience.yaml").write_bytes((definitions / "audience.yaml").read_bytes())
    files = []
    for n in range(FILES):
        files.append(folder / "journeys" / f"j{n}.yaml")
        files[-1].write_text(JOURNEY.format(id=f"j{n}", n=n, priority=n % 100), encoding="utf-8")
    return files


def timed(*command: str, rounds: int = 3) -> float:
    """Seconds by the clock on the wall, the median of some."""
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def check(folder: Path, *options: str, rounds: int = 3) -> float:
    return timed(*COMMAND, "check", "--config", str(folder), *options, rounds=rounds)


def main() -> None:
    with scratch() as folder:
        out = Printout("check")
        files = make(folder)
        out(f"\nload of the machine at the start {os.getloadavg()[0]:.1f}")
        out(f"  {FILES} files, {STEPS} steps each, {sum(f.stat().st_size for f in files) / 1e6:.1f} MB; medians of 3, whole commands")
        began = time.perf_counter()
        for file in files:
            YAML(typ="safe", pure=False).load(file)
        out(f"  floor: bare YAML parse of the files            {time.perf_counter() - began:6.2f} s")
        out(f"  floor: Python starts and ends                  {timed(sys.executable, '-c', 'pass'):6.2f} s")
        out(f"  floor: journeyd --version                      {timed(*COMMAND, '--version'):6.2f} s")
        out(f"  check, cold, without tests                     {check(folder, '--no-tests', '--no-cache'):6.2f} s   (target 3)")
        cold = check(folder, "--no-cache")
        out(f"  check, cold, with the 200 tests                {cold:6.2f} s")
        out(f"  of that the tests                              {cold - check(folder, '--no-tests', '--no-cache'):6.2f} s   (target 5)")
        check(folder, rounds=1)
        out(f"  check, nothing changed                         {check(folder):6.2f} s   (target 0.5)")
        edited = []
        for n in range(3):
            files[n].write_text(files[n].read_text(encoding="utf-8").replace("邻居们", "街坊们"), encoding="utf-8")
            edited.append(check(folder, rounds=1))
        out(f"  check, one file edited                         {statistics.median(edited):6.2f} s")
        out.save()


if __name__ == "__main__":
    main()
