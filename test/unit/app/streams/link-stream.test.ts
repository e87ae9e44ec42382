import { expect, test } from "bun:test";
import { LinkStream } from "../../../../src/app/streams/link-stream.ts";
import { StreamCounters } from "../../../../src/core/streams/counters.ts";
import { CreditBudget } from "../../../../src/core/streams/credit.ts";
import { dataHeader, windowFrame } from "../../../../src/core/streams/frame.ts";
import { SEND_BUFFER_BYTES } from "../../../../src/core/streams/framed-stream.ts";
import type { QuicStream, QuicStreamHandlers } from "../../../../src/io/quic/quic-stream.ts";

/** A stream over a QUIC stream that takes bytes when the test says so, and what its user heard. */
function linkStream(data = (chunk: Uint8Array) => chunk.length) {
  const quic = {
    id: 0,
    hasRoom: true,
    bytes: 0,
    handlers: undefined as QuicStreamHandlers | undefined,
    start(handlers: QuicStreamHandlers) {
      quic.handlers = handlers;
    },
    write(pieces: readonly Uint8Array[]) {
      if (quic.hasRoom) for (const { length } of pieces) quic.bytes += length;
      return quic.hasRoom;
    },
    end: () => heard.push("quic end"),
    reset: (code: number) => heard.push(`quic reset ${code}`),
  };
  const heard: string[] = [];
  const stream = new LinkStream({
    peer: "office",
    quic: quic as unknown as QuicStream,
    budget: new CreditBudget(),
    counters: new StreamCounters(),
    sendDatagram: () => false,
    over: () => heard.push("over"),
  });
  stream.start({
    data,
    ended: () => heard.push("ended"),
    drained: () => heard.push("drained"),
    closed: ({ type }) => heard.push(type),
  });
  // The peer lets us send as we like.
  quic.handlers?.data(windowFrame(2 ** 30));
  return { stream, quic, heard };
}

test("whoever was told to pause is told to go on, and later than that", () => {
  const { stream, quic, heard } = linkStream();
  quic.hasRoom = false;
  expect(stream.write(new Uint8Array(SEND_BUFFER_BYTES))).toBe(true);
  expect(stream.write(new Uint8Array(SEND_BUFFER_BYTES))).toBe(false);
  expect(heard).toEqual([]);
  quic.hasRoom = true;
  quic.handlers?.drained();
  expect(heard).toEqual(["drained"]);
});

test("a write that finds room for all that waits is told so, and nobody needs to be told to go on", () => {
  const { stream, quic, heard } = linkStream();
  quic.hasRoom = false;
  expect(stream.write(new Uint8Array(SEND_BUFFER_BYTES))).toBe(true);
  quic.hasRoom = true;
  // More than may wait, and it leaves at once.
  expect(stream.write(new Uint8Array(SEND_BUFFER_BYTES))).toBe(true);
  quic.handlers?.drained();
  expect(heard).toEqual([]);
  expect(quic.bytes).toBeGreaterThan(2 * SEND_BUFFER_BYTES);
});

test("who writes again without having waited hears once that it may", () => {
  const { stream, quic, heard } = linkStream();
  quic.hasRoom = false;
  for (let i = 0; i < 3; i++) stream.write(new Uint8Array(SEND_BUFFER_BYTES));
  quic.hasRoom = true;
  quic.handlers?.drained();
  quic.handlers?.drained();
  expect(heard).toEqual(["drained"]);
});

test("a reader that takes too little and says at once that it takes more is shown the rest", () => {
  const shown: number[] = [];
  const { stream, quic } = linkStream(({ length }) => {
    shown.push(length);
    if (length > 1) stream.resume();
    return 1;
  });
  quic.handlers?.data(dataHeader(3));
  quic.handlers?.data(new Uint8Array(3));
  expect(shown).toEqual([3, 2, 1]);
});
