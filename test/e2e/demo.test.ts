import { expect, test } from "bun:test";
import { join } from "node:path";
import { EDGE_SIZES } from "../../src/app/demo/demo-traffic.ts";

/** What `npm run demo` runs. */
const UT = [process.execPath, join(import.meta.dir, "../../src/main.ts")];

function start(...args: string[]) {
  return Bun.spawn([...UT, ...args], { stdout: "pipe", stderr: "pipe" });
}

async function finish(child: ReturnType<typeof start>) {
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, code };
}

test("ut demo proves itself: steps, a second of traffic, table, 0", async () => {
  const { out, err, code } = await finish(start("demo", "--seconds", "1", "--rate", "2000"));
  expect({ err, code }).toEqual({ err: "", code: 0 });
  // Times, ports and counts differ from run to run; what is said does not.
  const lines = out.split("\n").map((line) =>
    line
      .replace(/\d[\d,.]*/g, "#")
      .replace(/ +/g, " ")
      .trim(),
  );
  const edges = EDGE_SIZES.map(() => "#").join(" ");
  expect(lines.filter((line) => line.startsWith("✓"))).toEqual([
    "✓ throw-away CA and two certificates, in memory only (# ms)",
    "✓ client on UDP # server on TCP # echo on UDP # all on #",
    "✓ the first datagram dialled: back after # ms, # lanes up after # ms",
    `✓ single datagrams of ${edges} bytes came back unchanged`,
    "✓ lane # was reset by the network: dialled again and up after # ms, same session",
    "✓ the sender moved from UDP # to # as WireGuard may: answers follow it",
    "✓ all # datagrams came back, every byte as it was sent",
  ]);
  expect(lines.filter((line) => /^(all|lane #) #/.test(line))).toHaveLength(6);
}, 30_000);

test("as fast as it goes, over 32 lanes: nothing is lost, and no lane carries for the others", async () => {
  const { out, code } = await finish(start("demo", "--seconds", "2", "--rate", "100000", "--lanes", "32", "--json"));
  expect(code).toBe(0);
  const report = JSON.parse(out);
  const { ok, lost, changed, surplus, problems } = report;
  expect({ ok, lost, changed, surplus, problems }).toEqual({ ok: true, lost: 0, changed: 0, surplus: 0, problems: [] });
  const carried: number[] = report.lanes.map((lane: { packetsUp: number }) => lane.packetsUp);
  expect(carried.reduce((sum, packets) => sum + packets, 0)).toBe(report.sent);
  // A frozen TCP_INFO once made all lanes look stalled, and lane 0 carried nine tenths.
  expect(Math.min(...carried)).toBeGreaterThan(report.sent / 32 / 4);
}, 30_000);

test("Ctrl-C ends it at once with 130, and the counts are told", async () => {
  const child = start("demo", "--seconds", "600");
  const output = new Output(child.stdout);
  await output.until("bytes came back unchanged");
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  expect(await output.all()).toEndWith("\nInterrupted; the counts above are what had happened by then.\n");
}, 30_000);

/** What a process writes, while it writes it. */
class Output {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = "";

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  async until(part: string): Promise<void> {
    while (!this.#text.includes(part))
      if (!(await this.#more())) throw new Error(`Never written: ${part}\n${this.#text}`);
  }

  async all(): Promise<string> {
    while (await this.#more());
    return this.#text;
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#chunks.next();
    if (!done) this.#text += this.#decoder.decode(value, { stream: true });
    return !done;
  }
}
