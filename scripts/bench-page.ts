/**
 * What the status page costs the node that it shows: CPU time of a client under 100 Mbit/s (50 each way), with nobody
 * listening to its events and with one listener, in turns; and the same without traffic, where the difference is not
 * lost in noise.
 *
 *     bun run scripts/bench-page.ts [rounds]
 */
import { readdirSync, readFileSync } from "node:fs";
import { type WatchedNode, watchedTunnel } from "../test/e2e/support/watched-tunnel.ts";

const PHASE_MS = 2_000;
const DATAGRAMS_PER_SECOND = 5_208;

const rounds = Number(process.argv[2] ?? 20);
await using tunnel = await watchedTunnel();

console.log("ms of CPU per second   alone  with the page  more (median of the rounds)");
await compare("without traffic");
const flow = tunnel.traffic(DATAGRAMS_PER_SECOND);
await compare("under 100 Mbit/s");
flow.stop();

async function compare(what: string): Promise<void> {
  const alone: number[] = [];
  const shown: number[] = [];
  let events = 0;
  for (let round = 0; round < rounds; round++) {
    alone.push(await cpuOf(tunnel.client));
    const listener = await listen(tunnel.client.url);
    shown.push(await cpuOf(tunnel.client));
    events += await listener.leave();
  }
  const more = median(shown.map((ms, round) => ms - (alone[round] ?? 0)));
  const figures = [
    median(alone).toFixed(2).padStart(7),
    median(shown).toFixed(2).padStart(15),
    more.toFixed(2).padStart(6),
  ];
  const share = `${((100 * more) / median(alone)).toFixed(2)} %`;
  console.log(`${what.padEnd(20)} ${figures.join("")} = ${share}; ${events} events in ${rounds} rounds`);
}

/** Milliseconds of CPU time that the node takes per second. */
async function cpuOf({ ut }: WatchedNode): Promise<number> {
  const [from, startedAt] = [cpuMs(ut.child.pid), performance.now()];
  await Bun.sleep(PHASE_MS);
  return ((cpuMs(ut.child.pid) - from) * 1_000) / (performance.now() - startedAt);
}

/** Of all threads, to the nanosecond: the first number of proc_pid_schedstat. */
function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}/schedstat`);
  return threads.reduce((sum, path) => sum + Number(readFileSync(path, "utf8").split(" ")[0]) / 1e6, 0);
}

/** Somebody who looks on, from the first report on; `leave` tells how many there were. */
async function listen(url: string): Promise<{ leave(): Promise<number> }> {
  const gone = new AbortController();
  const begun = Promise.withResolvers<void>();
  const reading = (async () => {
    let events = 0;
    try {
      const { body } = await fetch(`${url}/api/events`, { signal: gone.signal });
      for await (const chunk of body?.pipeThrough(new TextDecoderStream()) ?? []) {
        events += chunk.split("event: status").length - 1;
        if (events > 0) begun.resolve();
      }
    } catch {
      // It was told to leave.
    }
    return events;
  })();
  await begun.promise;
  return {
    leave() {
      gone.abort();
      return reading;
    },
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? Number.NaN;
}
