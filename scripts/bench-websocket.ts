/**
 * What the WebSocket framing of `tcp.transport: wss` costs by itself: CPU for each batch that a lane sends in one frame, and
 * for a datagram of 1,200 bytes in it. `bun scripts/bench-websocket.ts`; no sockets, so the machine may be busy.
 */
import { randomBytes } from "node:crypto";
import { FrameReader } from "../src/core/websocket/frame-reader.ts";
import { FrameWriter } from "../src/core/websocket/frame-writer.ts";
import { type Column, formatNumber, formatTable } from "./bench/table.ts";

/** One TLS record, less the frame's own bytes: what a lane sends at a time. */
const BATCH_BYTES = 16 * 1024 - 8;
const DATAGRAM_BYTES = 1_200 + 13;
const ROUNDS = 7;
const FRAMES = 20_000;

interface Row {
  readonly name: string;
  readonly writeUs: number;
  readonly readUs: number;
}

const rows = [measure("client to server, masked", true), measure("server to client", false)];
const each = (us: number) => formatNumber((us * 1_000 * DATAGRAM_BYTES) / BATCH_BYTES);
const columns: Column<Row>[] = [
  { title: `frames of ${BATCH_BYTES} B`, cell: ({ name }) => name, align: "left" },
  { title: "write, µs", cell: ({ writeUs }) => formatNumber(writeUs, 2) },
  { title: "read, µs", cell: ({ readUs }) => formatNumber(readUs, 2) },
  { title: "a datagram: write, ns", cell: ({ writeUs }) => each(writeUs) },
  { title: "read, ns", cell: ({ readUs }) => each(readUs) },
];
console.log(formatTable(columns, rows).join("\n"));

function measure(name: string, isMasked: boolean): Row {
  const batch = Uint8Array.from(randomBytes(BATCH_BYTES));
  const writer = new FrameWriter(isMasked ? randomBytes : undefined);
  const reader = new FrameReader(isMasked);
  const write = () => {
    writer.put(batch, 0, batch.length);
    writer.wrote(writer.length);
  };
  writer.put(batch, 0, batch.length);
  const frame = writer.out.slice(0, writer.length);
  writer.wrote(writer.length);
  const read = () => {
    reader.feed(frame);
    while (reader.next() !== "need-more");
    // Unmasked in place, masked again by the next round: the header stays as it is.
  };
  return { name, writeUs: best(write), readUs: best(read) };
}

/** The quickest round: others on the machine only ever make one slower. */
function best(run: () => void): number {
  let quickest = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let i = 0; i < FRAMES; i++) run();
    quickest = Math.min(quickest, performance.now() - start);
  }
  return (quickest / FRAMES) * 1_000;
}
