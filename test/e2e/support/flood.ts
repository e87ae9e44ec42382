import { connect, type Socket } from "node:net";

/**
 * A process of its own, so that the flood takes no turns of the server's event loop but those it causes there: opens
 * TCP connections and drops them, never saying a word of TLS. Started with port, number of connections and how many at
 * a time; goes on beyond the number until its stdin ends; then prints how many there were.
 *
 *     bun flood.ts 5443 10000 200
 */
const [port = 0, wanted = 0, atATime = 0] = process.argv.slice(2).map(Number);
const open = new Set<Socket>();
let opened = 0;
let told = false;
process.stdin.on("end", () => {
  told = true;
});
process.stdin.resume();

function openOne(): void {
  // Linux answers on all of 127/8; elsewhere all come from one address.
  const localAddress = process.platform === "linux" ? `127.0.0.${2 + (opened % 8)}` : "127.0.0.1";
  opened++;
  const socket = connect({ host: "127.0.0.1", port, localAddress });
  open.add(socket);
  // Some go at once, some wait until they are thrown out.
  if (opened % 3 === 0) socket.once("connect", () => socket.destroy());
  socket.on("error", () => {});
  socket.once("close", () => {
    open.delete(socket);
    fill();
  });
}

function fill(): void {
  if (opened >= wanted && told) {
    for (const socket of open) socket.destroy();
    if (open.size === 0) finish();
    return;
  }
  while (open.size < atATime && (opened < wanted || !told)) openOne();
}

function finish(): void {
  process.stdout.write(`${opened}\n`, () => process.exit(0));
}

setInterval(fill, 20);
