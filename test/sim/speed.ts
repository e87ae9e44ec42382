import { RawMachine } from "../contract/raw-machine.ts";
import { ADDRESSES } from "../contract/world.ts";
import { openSimWorld } from "./sim-world.ts";

/** How fast the simulated internet is: `bun test/sim/speed.ts`. A scenario is a fresh world and 20 questions through a NAT. */
const SECONDS = 3;
const QUESTIONS = 20;
const STUN = { address: ADDRESSES.stun, port: 3478 };

let scenarios = 0;
let datagrams = 0;
const start = performance.now();
while (performance.now() - start < SECONDS * 1_000) {
  const world = openSimWorld({ a: "port-restricted", b: "symmetric" }, { seed: scenarios });
  await world.start("stun", [STUN], () => new RawMachine());
  const a1 = await world.start("a1", [{}], () => new RawMachine());
  for (let i = 0; i < QUESTIONS; i++) a1.machine.send(0, STUN, "where am I?");
  a1.poke();
  await world.until(() => a1.events.length === QUESTIONS, 1_000);
  datagrams += world.counters.delivered;
  scenarios += 1;
}
const seconds = (performance.now() - start) / 1_000;
console.log(`${Math.round(scenarios / seconds)} scenarios/s, ${Math.round(datagrams / seconds)} datagrams/s`);
