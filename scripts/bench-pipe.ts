/**
 * `bun run scripts/bench-pipe.ts`: what a datagram of 1,200 bytes costs a pipe in CPU time, beside the bare cipher of
 * node:crypto. Both ends of each pair run in this process; nothing goes over a socket.
 */
import { createCipheriv, createDecipheriv } from "node:crypto";
import type { PipeOutput } from "../src/core/pipe/pipe.ts";
import { Opener, Sealer } from "../src/core/pipe/sealing.ts";
import { PipePair, smooth } from "../test/unit/core/pipe/pipe-pair.ts";

const DATAGRAMS = 200_000;
/** As many as a turn of the event loop brings under load. */
const BATCH = 64;
const ROUNDS = 5;

const payload = new Uint8Array(1_200).fill(7);
const key = { key: new Uint8Array(32).fill(9), session: 5 };

/** Microseconds of CPU time per datagram: the best round, as others may use the machine, too. */
function cpuMicros(batch: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < DATAGRAMS / BATCH; i++) batch();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / DATAGRAMS);
  }
  return best;
}

function bareCipher(): void {
  const nonce = new Uint8Array(12);
  const header = new Uint8Array(13);
  for (let i = 0; i < BATCH; i++) {
    const cipher = createCipheriv("aes-256-gcm", key.key, nonce).setAAD(header);
    const text = cipher.update(payload);
    cipher.final();
    const decipher = createDecipheriv("aes-256-gcm", key.key, nonce, { authTagLength: 16 }).setAAD(header);
    decipher.setAuthTag(cipher.getAuthTag());
    decipher.update(text);
    decipher.final();
  }
}

function sealing(): () => void {
  const sealer = new Sealer(key);
  const opener = new Opener(key);
  return () => {
    const packets = Array.from({ length: BATCH }, () => sealer.seal(0xd0, 2, payload));
    for (const packet of packets) if (!opener.open(packet).ok) throw new Error("A packet did not open");
  };
}

/** A pair whose traffic goes over the direct path, in one piece. */
function pipes(): () => void {
  const pair = new PipePair();
  pair.connect(smooth(1));
  for (let i = 0; i < 300; i++) {
    pair.send(0, payload);
    pair.run(10);
  }
  const remote = pair.remote(1);
  const out: PipeOutput = { relay: [], direct: [] };
  return () => {
    for (let i = 0; i < BATCH; i++) pair.pipe(0).send(pair.now, 2, payload, out);
    for (const { payload: packet } of out.direct)
      if (pair.pipe(1).receive(pair.now, { socket: 0, remote }, packet, out) === undefined)
        throw new Error("A datagram did not arrive");
    out.direct.length = 0;
  };
}

const bare = cpuMicros(bareCipher);
for (const [name, micros] of [
  ["node:crypto, seal and open", bare],
  ["Sealer and Opener", cpuMicros(sealing())],
  ["Pipe.send and Pipe.receive", cpuMicros(pipes())],
] as const)
  console.log(`${name.padEnd(28)} ${micros.toFixed(2)} µs  × ${(micros / bare).toFixed(2)}`);
