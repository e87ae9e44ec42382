// A TLS client for Node.js that comes twice, the second time with the ticket of the first, and makes the same request.
//
// in   { port, cert?, key?, maxVersion, request }
// out  [{ isResumed, answer (first line) }, the same of the second time]
import { text } from "node:stream/consumers";
import { connect } from "node:tls";

const { port, request, ...options } = JSON.parse(await text(process.stdin));

function ask(session) {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, session, ...options }, () =>
      socket.write(request),
    );
    const seen = { ticket: undefined, answer: undefined };
    const look = () => {
      if (seen.ticket === undefined || seen.answer === undefined) return;
      resolve({ ...seen, isResumed: socket.isSessionReused() });
      socket.destroy();
    };
    socket.on("error", reject);
    socket.on("session", (ticket) => {
      seen.ticket = ticket;
      look();
    });
    socket.on("data", (bytes) => {
      seen.answer ??= bytes.toString("latin1").split("\r\n", 1)[0];
      // TLS 1.2 gives no new ticket to whoever has one.
      if (session !== undefined) seen.ticket ??= session;
      look();
    });
  });
}

const first = await ask(undefined);
const second = await ask(first.ticket);
console.log(JSON.stringify([first, second].map(({ isResumed, answer }) => ({ isResumed, answer }))));
