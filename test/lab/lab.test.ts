import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { decodeArrivals, Pulse } from "./pulse.ts";
import { longestGapMs, percentile, streamStats } from "./stream-stats.ts";
import { DEFAULT_WAN, type WanOptions, wanDelta } from "./wan-link.ts";

const SEED = Number(process.env.UT_SEED ?? 1);

describe("stream statistics", () => {
  const arrival = (seq: number, sentMs: number, receivedMs: number) => ({
    seq,
    sentNs: sentMs * 1e6,
    receivedNs: receivedMs * 1e6,
  });

  test("count each datagram once and call reordered what comes after a higher number", () => {
    const arrivals = [arrival(0, 0, 20), arrival(2, 2, 22), arrival(1, 1, 31), arrival(2, 2, 40), arrival(3, 3, 43)];
    expect(streamStats(arrivals)).toEqual({
      delivered: 4,
      duplicates: 1,
      reordered: 1,
      p50Ms: 20,
      p95Ms: 40,
      p99Ms: 40,
      maxMs: 40,
    });
  });

  test("of nothing are zeros and NaN", () => {
    const none = Number.NaN;
    const nothing = { delivered: 0, duplicates: 0, reordered: 0, p50Ms: none, p95Ms: none, p99Ms: none, maxMs: none };
    expect(streamStats([])).toEqual(nothing);
  });

  test("percentiles are nearest-rank", () => {
    const numbers = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    expect([1, 50, 51, 95, 100].map((percent) => percentile(numbers, percent))).toEqual([1, 5, 6, 10, 10]);
  });

  test("the longest gap includes both edges", () => {
    const arrivals = [arrival(0, 0, 20), arrival(1, 10, 30), arrival(2, 20, 90)];
    const gap = (from: number, until: number) => longestGapMs(arrivals, from * 1e6, until * 1e6);
    expect([gap(0, 100), gap(0, 40), gap(25, 300), gap(200, 250)]).toEqual([60, 20, 210, 50]);
  });

  test("records of another run are left out", () => {
    const view = new DataView(new ArrayBuffer(48));
    for (const [index, run] of [7, 8].entries()) {
      view.setUint32(index * 24, run, true);
      view.setUint32(index * 24 + 4, 3, true);
      view.setBigUint64(index * 24 + 8, 1_000n, true);
      view.setBigUint64(index * 24 + 16, 2_000n, true);
    }
    expect(decodeArrivals(view.buffer, 8)).toEqual([{ seq: 3, sentNs: 1_000, receivedNs: 2_000 }]);
  });
});

describeLab("the lab", () => {
  test("leaves nothing behind", async () => {
    let folder = "";
    let name = "";
    {
      await using lab = await Lab.open();
      const host = await lab.namespace("host");
      folder = lab.folder;
      name = host.name;
      host.start("sleeper", ["sleep", "600"]);
      expect(readdirSync("/run/netns")).toContain(name);
    }
    expect(readdirSync("/run/netns")).not.toContain(name);
    expect(existsSync(folder)).toBe(false);
  });

  test("is torn down when its process ends without disposing of it", async () => {
    const script = `
      const { Lab } = await import(${JSON.stringify(`${import.meta.dir}/lab.ts`)});
      const lab = await Lab.open();
      const host = await lab.namespace("host");
      const job = host.start("sleeper", ["sleep", "600"]);
      console.log(host.name, job.pid, lab.folder);
      process.exit(3);`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    const [name = "", pid = "", folder = ""] = (await new Response(child.stdout).text()).trim().split(" ");
    expect(await child.exited).toBe(3);
    expect(readdirSync("/run/netns")).not.toContain(name);
    expect([existsSync(`/proc/${pid}/cwd`), existsSync(folder)]).toEqual([false, false]);
  });

  test("puts a namespace on CUBIC and joins hosts by a cable", async () => {
    await using lab = await Lab.open();
    const a = await lab.namespace("a");
    const b = await lab.namespace("b");
    await lab.cable(
      { host: a, device: "eth0", address: "10.1.0.1/24" },
      { host: b, device: "eth0", address: "10.1.0.2/24" },
    );
    expect(await a.run(["ping", "-c", "1", "-W", "2", "10.1.0.2"])).toContain("1 received");
    expect((await a.run(["sysctl", "-n", "net.ipv4.tcp_congestion_control"])).trim()).toBe("cubic");
  });
});

describeLab("the WAN link", () => {
  async function stream(options: Partial<WanOptions>, perSecond: number, seconds: number) {
    await using lab = await Lab.open();
    const a = await lab.namespace("a");
    const b = await lab.namespace("b");
    const wan = await lab.wan(a, b, { ...DEFAULT_WAN, seed: SEED, ...options, lossPercent: 0 });
    const at = { host: wan.addresses.b, port: 5_000 };
    const receiver = await Pulse.bind(lab, b, at);
    const sender = await Pulse.connect(lab, a, at);
    await sender.greet();
    await wan.set("loss", options.lossPercent ?? 0);
    const before = await wan.stats();
    const { run } = await sender.send({ perSecond, bytes: 1_200, seconds });
    const sent = await sender.sent(seconds * 1_000 + 5_000);
    await receiver.settle(sent.count, 300, 3_000);
    return { sent, link: wanDelta(before, await wan.stats()).a_to_b, ...streamStats(await receiver.take(run)) };
  }

  test("delays by what it was told, with less than a millisecond of jitter", async () => {
    const { sent, delivered, reordered, duplicates, p50Ms, p95Ms } = await stream({}, 1_000, 1);
    expect({ delivered, reordered, duplicates }).toEqual({ delivered: sent.count, reordered: 0, duplicates: 0 });
    expect(p50Ms).toBeWithin(20, 20.5);
    expect(p95Ms - p50Ms).toBeLessThan(1);
  });

  test("loses its share, counts every packet, and the same ones for the same seed", async () => {
    const [one, other] = [await stream({ lossPercent: 5 }, 4_000, 1), await stream({ lossPercent: 5 }, 4_000, 1)];
    console.log(`seed ${SEED}`);
    expect(one.link.lost).toBe(other.link.lost);
    expect(one.link.in - one.link.out - one.link.lost).toBe(0);
    expect(one.delivered + one.link.lost).toBe(one.sent.count);
    // 200 expected, standard deviation 14
    expect(one.link.lost).toBeWithin(130, 270);
  });

  test("passes its rate, keeps its queue, and drops the tail", async () => {
    // 20 Mbit/s offered on 10: the queue of 100 fills, and the last packet of it waits 100 × 1,228 B at 10 Mbit/s
    const { sent, delivered, link, maxMs } = await stream({ rateMbit: 10, queuePackets: 100 }, 2_083, 2);
    expect(delivered + link.tail_dropped).toBe(sent.count);
    expect(delivered / sent.count).toBeWithin(0.48, 0.56);
    expect(maxMs).toBeWithin(117, 123);
  });

  test("obeys at run time: blackhole and back", async () => {
    await using lab = await Lab.open();
    const a = await lab.namespace("a");
    const b = await lab.namespace("b");
    const wan = await lab.wan(a, b, { ...DEFAULT_WAN, delayMs: 1 });
    const ping = () =>
      a.run(["ping", "-c", "1", "-W", "1", wan.addresses.b]).then(
        () => "answer",
        () => "silence",
      );
    const before = await ping();
    await wan.blackhole(true, "b");
    const during = await ping();
    await wan.blackhole(false);
    expect([before, during, await ping()]).toEqual(["answer", "silence", "answer"]);
    expect((await wan.stats()).b_to_a.blackholed).toBe(1);
  });
});
