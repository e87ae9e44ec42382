/**
 * A program for the lab, run in a namespace by Bun: an HTTP server whose one answer has no length and no end, so that
 * only its connection can tell a client whether it is whole.
 *
 *   endless.ts ADDRESS    prints `serving URL`
 */
const CHUNK = new Uint8Array(16 * 1024).fill(0x2e);

const hostname = process.argv[2] ?? "";
const server = Bun.listen({
  hostname,
  port: 0,
  socket: {
    data: (socket) => {
      socket.write("HTTP/1.0 200 OK\r\n\r\n");
      flow(socket);
    },
    drain: flow,
    error: () => {},
  },
});
console.log(`serving http://${hostname}:${server.port}/`);

function flow(socket: Bun.Socket): void {
  while (socket.write(CHUNK) === CHUNK.length);
}
