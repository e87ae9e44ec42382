/**
 * A process that answers streams until it is killed: whatever comes is written back. Its identity comes on stdin, the
 * port of its pipe goes to stdout.
 */
import { openStreamService } from "../../../src/app/streams/stream-service.ts";
import { createLog } from "../../../src/io/log/log.ts";
import type { QuicCredentials } from "../../../src/io/quic/quic.ts";
import { udpPipes } from "./udp-pipes.ts";

const identity = (await Bun.stdin.json()) as QuicCredentials;
const pipes = await udpPipes(0);
const service = await openStreamService({
  identity,
  log: createLog({ level: "error", role: "agent" }),
  accept: (_peer, stream) => ({
    data: ({ length }) => {
      stream.write(new Uint8Array(length));
      return length;
    },
    ended: () => stream.end(),
    drained: () => {},
    closed: () => {},
  }),
});
pipes.accepted(service.accept(pipes.plane, 1, "home"));
console.log(pipes.port);
