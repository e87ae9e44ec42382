// A WebSocket client of another make, for Node.js: npm's `ws`. Reads what to do as JSON from stdin, says what came.
//
// in   { url, ca, cert, key, messages: [[fragment, …], …] as base64, expectBytes }
// out  { protocol, extensions, received (base64), pongs, closeCode }
import { text } from "node:stream/consumers";
import WebSocket from "ws";

const { url, ca, cert, key, messages, expectBytes } = JSON.parse(await text(process.stdin));
const socket = new WebSocket(url, ["ut.v1"], { ca, cert, key, perMessageDeflate: true });
const received = [];
let pongs = 0;

socket.on("error", (error) => console.error(error.message));
socket.on("pong", () => pongs++);
socket.on("message", (data) => {
  received.push(data);
  if (Buffer.concat(received).length >= expectBytes) socket.close(1000);
});
socket.on("open", () => {
  for (const fragments of messages) {
    socket.ping("between");
    for (const [i, fragment] of fragments.entries())
      socket.send(Buffer.from(fragment, "base64"), { binary: true, fin: i === fragments.length - 1 });
  }
});
socket.on("close", (closeCode) => {
  const { protocol, extensions } = socket;
  console.log(
    JSON.stringify({ protocol, extensions, received: Buffer.concat(received).toString("base64"), pongs, closeCode }),
  );
});
