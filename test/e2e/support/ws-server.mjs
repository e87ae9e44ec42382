// A WebSocket server of another make, for Node.js: npm's `ws`. It speaks only DATA: sends each plain datagram back, passes
// over all control. Reads its certificate as JSON from stdin, says its port, then a line for each connection; ends with
// its stdin.
import { createServer } from "node:https";
import { createInterface } from "node:readline";
import { WebSocketServer } from "ws";

const HEADER_BYTES = 9;
const TYPE_DATA = 1;

const lines = createInterface({ input: process.stdin });
lines.once("line", (line) => serve(JSON.parse(line)));
lines.once("close", () => process.exit(0));

function serve({ ca, cert, key, path }) {
  const https = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true });
  const server = new WebSocketServer({ server: https, path, handleProtocols: () => "ut.v1", perMessageDeflate: true });
  server.on("connection", (socket, request) => {
    const cn = request.socket.getPeerCertificate().subject.CN;
    console.log(
      JSON.stringify({ cn, host: request.headers.host, protocol: socket.protocol, alpn: request.socket.alpnProtocol }),
    );
    socket.ping("hello");
    let bytes = Buffer.alloc(0);
    socket.on("message", (data) => {
      bytes = Buffer.concat([bytes, data]);
      while (bytes.length >= HEADER_BYTES) {
        const length = HEADER_BYTES + bytes.readUInt32BE(5);
        if (bytes.length < length) break;
        const pdu = bytes.subarray(0, length);
        bytes = bytes.subarray(length);
        if (pdu[3] !== TYPE_DATA) continue;
        // In two fragments, as a server may.
        socket.send(pdu.subarray(0, 5), { binary: true, fin: false });
        socket.send(pdu.subarray(5), { binary: true, fin: true });
      }
    });
  });
  https.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: https.address().port })));
}
