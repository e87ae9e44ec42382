import { expect, test } from "bun:test";
import { formatBytes, formatRate, sparkline } from "../../../../src/cli/quantity.ts";
import { socksLines } from "../../../../src/cli/status/status-sections.ts";
import { statusLines } from "../../../../src/cli/status/status-view.ts";
import { paint } from "../../../../src/cli/styled.ts";
import { styledTable } from "../../../../src/cli/styled-table.ts";
import type { LoadSample } from "../../../../src/core/tunnel/load-history.ts";
import { socksStatusOf } from "../../io/node-status.ts";
import { busyReport } from "./status-reports.ts";

function shown(width: number, samples?: readonly LoadSample[]): string {
  const lines = statusLines({ status: busyReport(), samples }, width);
  return `\n${lines.map((line) => paint(line, { columns: width, hasColour: false })).join("\n")}\n`;
}

function sample(second: number, bitsPerSecond: number): LoadSample {
  const rates = { upBitsPerSecond: bitsPerSecond, downBitsPerSecond: 2 * bitsPerSecond };
  return {
    at: second * 1_000,
    ...rates,
    drops: 0,
    rttMs: 21.5,
    slowestRttMs: 30,
    waitMs: null,
    queuedPackets: 7,
    openLanes: 2,
  };
}

test("everything a node says, in a file", () => {
  expect(shown(Number.POSITIVE_INFINITY)).toBe(`
gate  ready
server on 127.0.0.1:5443 · ut 1.2.3 (abc, linux-x64) · pid 4711 · up for 90 s

up    1.00 Mbit/s
down  2.00 Mbit/s

Session of home  2 of 3 lanes open, 7 datagrams (8.40 kB) wait, the oldest for 1.5 ms, 2 are held for an earlier one, bbr, last datagram 0 s ago
lane  state                        up now     down now       up     down  RTT ms  unsent  sent again  control  connection
   0  open for 60 s           1.00 Mbit/s  2.00 Mbit/s  1.00 kB  2.00 kB    21.5     0 B           3  bbr      192.0.2.7:41000
   1  stalled, open for 60 s      0 bit/s      0 bit/s  1.00 kB  2.00 kB       -       -           -  -        192.0.2.7:41000
   2  down
lane 1 ended 2 times, last 65 s ago: Connection lost: ECONNRESET
lane 2 ended 3 s ago: Connection lost: ECONNRESET

Peers
peer    service    path             direct ms  server ms  why
office  wireguard  over the server          -       12.5  both ends are behind symmetric NATs

Dropped since the start
reason           up  down
oldest            3     0
lane_lost         0     4
unknown (pipes)   9     0
stale (pipes)     0    10

Network
port-restricted cone NAT, outside 203.0.113.7:40000 (port-mapping), pcp maps 203.0.113.7:40000; own socket 0.0.0.0:40000

Certificates
of                ends
home              2029-01-01, in 1065 days
gate (this node)  2030-01-01, in 1430 days
the CA            2035-01-01, in 3256 days
`);
});

test("on a narrow terminal what matters less goes first, and nothing is wider", () => {
  const text = shown(60, [sample(0, 0), sample(30, 1e6), sample(60, 4e6), sample(90, 2e6)]);
  expect(Math.max(...text.split("\n").map((line) => [...line].length))).toBe(60);
  expect(text).toBe(`
gate  ready
server on 127.0.0.1:5443 · ut 1.2.3 (abc, linux-x64) · pid …

up    2.00 Mbit/s   ▁▃█▅  peak 4.00 Mbit/s of 90 s
down  4.00 Mbit/s   ▁▃█▅  peak 8.00 Mbit/s of 90 s
round trip 21.5 ms, slowest lane 30.0 ms; 7 datagrams wait,…

Session of home  2 of 3 lanes open, 7 datagrams (8.40 kB) w…
lane  state                        up now     down now
   0  open for 60 s           1.00 Mbit/s  2.00 Mbit/s
   1  stalled, open for 60 s      0 bit/s      0 bit/s
   2  down
lane 1 ended 2 times, last 65 s ago: Connection lost: ECONN…
lane 2 ended 3 s ago: Connection lost: ECONNRESET

Peers
peer    path             direct ms  server ms
office  over the server          -       12.5

Dropped since the start
reason           up  down
oldest            3     0
lane_lost         0     4
unknown (pipes)   9     0
stale (pipes)     0    10

Network
port-restricted cone NAT, outside 203.0.113.7:40000 (port-m…

Certificates
of                ends
home              2029-01-01, in 1065 days
gate (this node)  2030-01-01, in 1430 days
the CA            2035-01-01, in 3256 days
`);
});

test("a young node and an idle one have sections only for what there is", () => {
  const young = busyReport({ roles: [], ready: false, notReady: ["starting"], uptimeSeconds: 1 });
  const traversal = { ...young.traversal, network: null, pipes: [] };
  const lines = statusLines({ status: { ...young, traversal }, samples: [] }, 80);
  expect(lines.slice(0, 7).map((line) => paint(line, { columns: 80, hasColour: false }))).toEqual([
    "starting  not ready",
    "ut 1.2.3 (abc, linux-x64) · pid 4711 · up for 1 s",
    "starting",
    "",
    "up    0 bit/s",
    "down  0 bit/s",
    "",
  ]);
});

test("a SOCKS proxy says what it carries, and why it cannot", () => {
  const socks = { ...socksStatusOf([]), open: { connect: 3, udp: 1 }, bytes: { up: 1_500, down: 2e6 } };
  const broken = { ...socks, refused: { rule: 2 }, link: { ...socks.link, problem: "office is not there" } };
  const { roles } = busyReport();
  const proxy = roles.map((role) => ({ ...role, role: "socks" as const, socks: broken }));
  expect(
    socksLines(busyReport({ roles: proxy })).map((line) => paint(line, { columns: 100, hasColour: false })),
  ).toEqual(["SOCKS proxy  3 connect, 1 udp open; 1.50 kB up, 2.00 MB down; 2 refused", "office is not there"]);
  expect(socksLines(busyReport())).toEqual([]);
});

test("colours are there or not, a cut line ends with a mark, and no stranger moves the cursor", () => {
  const line = [{ text: "down", tone: "bad" }, { text: " because of \x1b[2J\u009b1m" }] as const;
  expect(paint(line, { columns: 80, hasColour: true })).toBe("\x1b[1;31mdown\x1b[0m because of \ufffd[2J\ufffd1m");
  expect(paint(line, { columns: 80, hasColour: false })).toBe("down because of \ufffd[2J\ufffd1m");
  expect(paint(line, { columns: 3, hasColour: true })).toBe("\x1b[1;31mdo\x1b[0m…");
});

test("a table keeps its heaviest column, however narrow it is", () => {
  const columns = [
    { title: "name", cell: () => ({ text: "home" }), align: "left", weight: 1 },
    { title: "count", cell: () => ({ text: "12" }), weight: 2 },
  ] as const;
  const texts = (width: number) =>
    styledTable(columns, ["row"], width).map((line) => paint(line, { columns: 80, hasColour: false }));
  expect(texts(80)).toEqual(["name  count", "home     12"]);
  expect(texts(3)).toEqual(["count", "   12"]);
});

test("quantities are short, bars are as high as their share, unknown ones blank", () => {
  expect([0, 999, 1_000, 94_100_000, 1.5e15].map(formatRate)).toEqual([
    "0 bit/s",
    "999 bit/s",
    "1.00 kbit/s",
    "94.1 Mbit/s",
    "1500 Tbit/s",
  ]);
  expect(formatBytes(15_800)).toBe("15.8 kB");
  expect(sparkline([0, 4, null, 8], 10, 8)).toBe("▁▅ █");
  expect(sparkline([0, 8, 0, 4], 2, 8)).toBe("█▅");
  expect(sparkline([0, 0], 4, 0)).toBe("▁▁");
});

test("which of its servers a client uses, where it has several", () => {
  const { roles, ...report } = busyReport();
  const moves = { failed: 1, returned: 0 };
  const head = (addresses: string[], current: number) => {
    const client = roles.map((role) => ({ ...role, servers: { addresses, current, moves } }));
    return statusLines({ status: { ...report, roles: client }, samples: undefined }, 200)[1]?.map(({ text }) => text);
  };
  expect(head(["[2001:db8::1]:5443", "b.example:5443"], 1)).toEqual([
    "server on 127.0.0.1:5443 · over b.example:5443, server 2 of 2 · ut 1.2.3 (abc, linux-x64) · pid 4711 · up for 90 s",
  ]);
  expect(head(["a.example:5443"], 0)).toEqual([
    "server on 127.0.0.1:5443 · ut 1.2.3 (abc, linux-x64) · pid 4711 · up for 90 s",
  ]);
});
