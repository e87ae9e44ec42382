import { expect, test } from "bun:test";
import { LaneRates } from "../../../../src/core/tunnel/lane-rates.ts";
import type { LaneStatus } from "../../../../src/core/tunnel/status.ts";
import { laneStatus, nodeStatus, sessionStatus } from "../../io/node-status.ts";

const SESSION = sessionStatus().sessionId;
const still = { inBitsPerSecond: 0, outBitsPerSecond: 0 };

function rated(...looks: { at: number; lanes: LaneStatus[] }[]): LaneRates {
  const rates = new LaneRates();
  for (const { at, lanes } of looks) rates.observe(at, [nodeStatus({ sessions: [sessionStatus({ lanes })] })]);
  return rates;
}

test("a speed is the difference of two looks over the time between them", () => {
  const rates = rated(
    { at: 0, lanes: [laneStatus({ bytesIn: 1_000, bytesOut: 0 })] },
    { at: 2_000, lanes: [laneStatus({ bytesIn: 2_000, bytesOut: 500 })] },
  );
  const moved = { inBitsPerSecond: 4_000, outBitsPerSecond: 2_000 };
  expect(rates.of(SESSION, laneStatus({ bytesIn: 2_000, bytesOut: 500 }))).toEqual(moved);
  // It goes on counting between two looks.
  expect(rates.of(SESSION, laneStatus({ bytesIn: 9_000, bytesOut: 900 }))).toEqual(moved);
});

test("nothing is known after one look, of another session, of another lane", () => {
  const lane = laneStatus();
  const rates = rated({ at: 0, lanes: [lane] });
  expect(rates.of(SESSION, lane)).toEqual(still);
  expect(rates.of("another", lane)).toEqual(still);
  expect(rates.of(SESSION, laneStatus({ id: 9 }))).toEqual(still);
});

test("a connection that took the place of another begins at zero", () => {
  const before = laneStatus({ bytesIn: 50_000, bytesOut: 50_000 });
  for (const after of [
    laneStatus({ bytesIn: 1_000, bytesOut: 0 }),
    laneStatus({ bytesIn: 1_000, bytesOut: 0, remote: "192.0.2.7:41999" }),
  ]) {
    const rates = rated({ at: 0, lanes: [before] }, { at: 1_000, lanes: [after] });
    expect(rates.of(SESSION, after)).toEqual({ inBitsPerSecond: 8_000, outBitsPerSecond: 0 });
  }
});

test("what is gone is forgotten", () => {
  const lane = laneStatus({ bytesIn: 1_000 });
  const rates = rated(
    { at: 0, lanes: [laneStatus({ bytesIn: 0 })] },
    { at: 1_000, lanes: [] },
    { at: 2_000, lanes: [lane] },
  );
  expect(rates.of(SESSION, lane).inBitsPerSecond).toBe(8_000);
  expect(rated({ at: 0, lanes: [lane] }, { at: 1_000, lanes: [] }).of(SESSION, lane)).toEqual(still);
});
