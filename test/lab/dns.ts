/**
 * A program for the lab, run in a namespace by Bun: a name server that knows one name, and a client that asks through
 * SOCKS5 UDP ASSOCIATE.
 *
 *   dns.ts serve ADDRESS NAME ANSWER     prints `serving`; answers A questions on UDP port 53
 *   dns.ts ask PROXY-PORT SERVER NAME    prints the address, or the response code
 */
import { connect } from "node:net";
import { decodeUdp, encodeUdp } from "../../src/core/socks/udp-header.ts";

const PORT = 53;
const TYPE_A = 1;
const CLASS_IN = 1;
const HEADER_BYTES = 12;

const [mode, ...rest] = process.argv.slice(2);
if (mode === "serve") await serve(rest[0] ?? "", rest[1] ?? "", rest[2] ?? "");
else if (mode === "ask") await ask(Number(rest[0]), rest[1] ?? "", rest[2] ?? "");
else throw new Error("usage: dns.ts serve ADDRESS NAME ANSWER | ask PROXY-PORT SERVER NAME");

async function serve(hostname: string, name: string, answer: string): Promise<void> {
  await Bun.udpSocket({
    hostname,
    port: PORT,
    socket: {
      data(socket, question, port, address) {
        const isKnown = question.subarray(HEADER_BYTES).includes(questionOf(name));
        const reply = Buffer.concat([
          question,
          // A pointer to the name in the question, then the record (RFC 1035 §4.1.3).
          Buffer.from([
            0xc0,
            HEADER_BYTES,
            0,
            TYPE_A,
            0,
            CLASS_IN,
            0,
            0,
            0,
            60,
            0,
            4,
            ...answer.split(".").map(Number),
          ]),
        ]);
        // An answer, authoritative; with one record, or "no such name".
        reply.set(isKnown ? [0x84, 0x00] : [0x84, 0x03], 2);
        reply.writeUInt16BE(isKnown ? 1 : 0, 6);
        socket.send(isKnown ? reply : reply.subarray(0, question.length), port, address);
      },
    },
  });
  console.log("serving");
}

async function ask(proxyPort: number, server: string, name: string): Promise<void> {
  const control = connect(proxyPort, "127.0.0.1");
  control.write(Buffer.from("050100" + "05030001000000000000", "hex"));
  let heard = Buffer.alloc(0);
  // Not `for await`, whose end would be that of the connection.
  await new Promise<void>((resolve) =>
    control.on("data", (chunk) => {
      heard = Buffer.concat([heard, chunk as Buffer]);
      if (heard.length >= HEADER_BYTES) resolve();
    }),
  );
  if (heard[3] !== 0) throw new Error(`refused: ${heard.toString("hex")}`);
  const question = Buffer.concat([Buffer.from("123401000001000000000000", "hex"), questionOf(name)]);
  const answered = Promise.withResolvers<Uint8Array>();
  const udp = await Bun.udpSocket({ socket: { data: (_socket, datagram) => answered.resolve(datagram) } });
  udp.send(encodeUdp({ host: server, port: PORT }, question), heard.readUInt16BE(10), "127.0.0.1");
  const reading = decodeUdp(await answered.promise);
  if (!reading.ok || reading.destination.host !== server) throw new Error("the answer is from somebody else");
  const { payload } = reading;
  console.log((payload[3] ?? 0) % 16 === 0 ? payload.subarray(-4).join(".") : `code ${(payload[3] ?? 0) % 16}`);
  process.exit();
}

/** The name in labels, and what is asked of it. */
function questionOf(name: string): Buffer {
  const labels = name.split(".").map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
  return Buffer.concat([...labels, Buffer.of(0, 0, TYPE_A, 0, CLASS_IN)]);
}
