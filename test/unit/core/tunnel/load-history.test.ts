import { expect, test } from "bun:test";
import { TunnelCounters } from "../../../../src/core/tunnel/counters.ts";
import { LoadHistory, samplesOf } from "../../../../src/core/tunnel/load-history.ts";
import { laneStatus, nodeStatus, sessionStatus } from "../../io/node-status.ts";

const tcp = (rttMs: number) => ({
  congestion: "bbr",
  rttMs,
  minRttMs: 1,
  unsentBytes: 0,
  retransmits: 0,
  deliveryRateBitsPerSecond: 0,
});

/** A node with one client whose counters a test moves. */
function busyNode() {
  const counters = new TunnelCounters();
  const lanes = [30, 10, 20].map((rttMs, id) => laneStatus({ id, tcp: tcp(rttMs) }));
  const nodes = [nodeStatus({ clients: new Map([["home", counters]]), sessions: [sessionStatus({ lanes })] })];
  return { counters, nodes };
}

test("a sample is what happened since the one before; the first look has none", () => {
  const { counters, nodes } = busyNode();
  counters.up.outBytes = 5_000;
  const history = new LoadHistory();
  expect(history.record(1_000, nodes)).toBeUndefined();
  counters.up.outBytes += 1_000;
  counters.channels.up.outBytes += 250;
  counters.down.outBytes += 500;
  counters.up.drops.codel += 2;
  counters.channels.down.drops.oldest += 3;
  counters.queueDelay.observe(1);
  counters.queueDelay.observe(4);
  const sample = {
    at: 3_000,
    upBitsPerSecond: 5_000,
    downBitsPerSecond: 2_000,
    drops: 5,
    rttMs: 20,
    slowestRttMs: 30,
    waitMs: 2.5,
    queuedPackets: 7,
    openLanes: 3,
  };
  expect(history.record(3_000, nodes)).toEqual(sample);
  expect(history.record(3_000, nodes)).toBeUndefined();
  expect(samplesOf(history.columns())).toEqual([sample]);
});

test("what nobody knows is null: no lane, no TCP_INFO, nothing that left the queue", () => {
  const history = new LoadHistory();
  const blind = [nodeStatus({ sessions: [sessionStatus({ lanes: [laneStatus({ tcp: undefined })] })] })];
  history.record(0, blind);
  expect(history.record(1_000, blind)).toMatchObject({ rttMs: null, slowestRttMs: null, waitMs: null, openLanes: 1 });
  expect(history.record(2_000, [])).toMatchObject({ rttMs: null, slowestRttMs: null, waitMs: null, openLanes: 0 });
});

test("it holds the last 900 samples, by columns of one length", () => {
  const { counters, nodes } = busyNode();
  const history = new LoadHistory();
  for (let second = 0; second <= 1_000; second++) {
    counters.up.outBytes += second;
    history.record(second * 1_000, nodes);
  }
  const columns = history.columns();
  expect(new Set(Object.values(columns).map((column) => column.length))).toEqual(new Set([900]));
  expect([columns.at[0], columns.at.at(-1)]).toEqual([101_000, 1_000_000]);
  expect(columns.upBitsPerSecond.at(-1)).toBe(8_000);
  expect(JSON.stringify(columns).length).toBeLessThan(60_000);
});
