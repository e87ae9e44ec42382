import { expect, test } from "bun:test";
import { LaneMeter } from "../../../../src/app/tunnel/lane-meter.ts";
import { laneStatus } from "../../io/node-status.ts";

const lane = (id: number, packets: number) =>
  laneStatus({ id, packetsOut: packets, packetsIn: packets + 1, bytesOut: packets * 100, bytesIn: packets * 200 });
const totals = (id: number, packets: number, connections: number, open = true) => ({
  id,
  open,
  packetsUp: packets,
  packetsDown: packets + connections,
  bytesUp: packets * 100,
  bytesDown: packets * 200,
});

test("a redialled lane counts on under its number", () => {
  const meter = new LaneMeter();
  meter.sample([lane(1, 20), lane(0, 10)]);
  expect(meter.lanes).toEqual([totals(0, 10, 1), totals(1, 20, 1)]);
  meter.sample([lane(0, 15)]);
  expect(meter.lanes).toEqual([totals(0, 15, 1), totals(1, 20, 1, false)]);
  meter.sample([lane(0, 16), lane(1, 3)]);
  expect(meter.lanes).toEqual([totals(0, 16, 1), totals(1, 23, 2)]);
});

test("a redial between two samples is seen by the counters that fell", () => {
  const meter = new LaneMeter();
  meter.sample([lane(0, 10)]);
  meter.sample([lane(0, 4)]);
  meter.sample([lane(0, 6)]);
  expect(meter.lanes).toEqual([totals(0, 16, 2)]);
});
