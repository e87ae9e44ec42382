/**
 * A program for the lab, run in a namespace by Bun: a SOCKS5 server with nothing between it and its programs, for
 * comparison. No users, CONNECT to IPv4 addresses.
 *
 *   plain-socks.ts ADDRESS PORT    prints `serving`
 */
import { connect, createServer, type Socket } from "node:net";

const REQUEST_BYTES = 10;
const GRANTED = Buffer.from("05000001000000000000", "hex");

createServer((program) => {
  program.on("error", () => {});
  program.once("data", () => {
    program.write(Buffer.of(5, 0));
    program.once("data", (request) => serve(program, request as Buffer));
  });
}).listen(Number(process.argv[3]), process.argv[2], () => console.log("serving"));

function serve(program: Socket, request: Buffer): void {
  program.pause();
  const [host, port] = [request.subarray(4, 8).join("."), request.readUInt16BE(REQUEST_BYTES - 2)];
  const target = connect(port, host, () => {
    program.write(GRANTED);
    program.pipe(target).pipe(program);
  });
  target.on("error", () => program.destroy());
}
