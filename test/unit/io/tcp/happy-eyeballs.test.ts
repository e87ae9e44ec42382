import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import {
  ATTEMPT_DELAY_MS,
  interleave,
  type ResolvedAddress,
  race,
  resolveAll,
} from "../../../../src/io/tcp/happy-eyeballs.ts";

const v6 = (n: number): ResolvedAddress => ({ address: `2001:db8::${n}`, family: 6 });
const v4 = (n: number): ResolvedAddress => ({ address: `192.0.2.${n}`, family: 4 });

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** Attempts whose end the test decides. */
class Attempts {
  readonly begun: string[] = [];
  readonly abandoned: string[] = [];
  readonly #ends = new Map<string, { resolve(value: string): void; reject(error: Error): void }>();

  readonly attempt = ({ address }: ResolvedAddress, signal: AbortSignal): Promise<string> => {
    this.begun.push(address);
    signal.addEventListener("abort", () => this.abandoned.push(address));
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#ends.set(address, { resolve, reject });
    return promise;
  };

  async succeed({ address }: ResolvedAddress): Promise<void> {
    this.#ends.get(address)?.resolve(address);
    await settled();
  }

  async fail({ address }: ResolvedAddress): Promise<void> {
    this.#ends.get(address)?.reject(new Error(`${address} refused`));
    await settled();
  }
}

/** What follows from a promise has followed. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function pass(ms: number): Promise<void> {
  jest.advanceTimersByTime(ms);
  await settled();
}

test("families take turns, IPv6 first, each in the order of the resolver (RFC 8305 §4)", () => {
  expect(interleave([v4(1), v4(2), v4(3), v6(1), v6(2)])).toEqual([v6(1), v4(1), v6(2), v4(2), v4(3)]);
  expect(interleave([v4(1), v4(2)])).toEqual([v4(1), v4(2)]);
  expect(interleave([])).toEqual([]);
});

describe("resolving", () => {
  test("takes addresses as they are", async () => {
    expect(await resolveAll("127.0.0.1")).toEqual([{ address: "127.0.0.1", family: 4 }]);
    expect(await resolveAll("::1")).toEqual([{ address: "::1", family: 6 }]);
  });

  test("a name that does not exist is an error that names it", async () => {
    await expect(resolveAll("no.such.host.invalid")).rejects.toMatchObject({
      kind: "io.resolve",
      message: expect.stringMatching(
        /^Cannot resolve "no\.such\.host\.invalid": .*; check the name in tcp\.server_addr/,
      ),
      details: { host: "no.such.host.invalid" },
    });
  });
});

describe("the race", () => {
  test("gives each address a head start over the next", async () => {
    const attempts = new Attempts();
    const won = race([v6(1), v4(1), v4(2)], attempts.attempt);
    expect(attempts.begun).toEqual([v6(1).address]);
    await pass(ATTEMPT_DELAY_MS - 1);
    expect(attempts.begun).toHaveLength(1);
    await pass(1);
    expect(attempts.begun).toEqual([v6(1).address, v4(1).address]);
    await attempts.succeed(v4(1));
    expect(await won).toBe(v4(1).address);
    // The winner is left alone, the loser is not, and the third is never tried.
    expect(attempts.abandoned).toEqual([v6(1).address]);
    await pass(10 * ATTEMPT_DELAY_MS);
    expect(attempts.begun).toHaveLength(2);
  });

  test("goes on at once where one fails", async () => {
    const attempts = new Attempts();
    const won = race([v6(1), v4(1)], attempts.attempt);
    await attempts.fail(v6(1));
    expect(attempts.begun).toEqual([v6(1).address, v4(1).address]);
    await attempts.succeed(v4(1));
    expect(await won).toBe(v4(1).address);
    expect(attempts.abandoned).toEqual([]);
  });

  test("a late success of a loser changes nothing", async () => {
    const attempts = new Attempts();
    const won = race([v6(1), v4(1)], attempts.attempt);
    await pass(ATTEMPT_DELAY_MS);
    await attempts.succeed(v4(1));
    await attempts.succeed(v6(1));
    expect(await won).toBe(v4(1).address);
    expect(attempts.abandoned).toEqual([v6(1).address]);
  });

  test("a slow one wins while a later one is under way", async () => {
    const attempts = new Attempts();
    const won = race([v6(1), v4(1)], attempts.attempt);
    await pass(ATTEMPT_DELAY_MS);
    await attempts.succeed(v6(1));
    expect(await won).toBe(v6(1).address);
    expect(attempts.abandoned).toEqual([v4(1).address]);
  });

  test("ends with the last error when all have failed", async () => {
    const attempts = new Attempts();
    const won = race([v6(1), v4(1)], attempts.attempt);
    const told = won.catch((error: Error) => error.message);
    await pass(ATTEMPT_DELAY_MS);
    await attempts.fail(v4(1));
    await attempts.fail(v6(1));
    expect(await told).toBe(`${v6(1).address} refused`);
  });

  test("without an address there is nothing to try", async () => {
    await expect(race([], new Attempts().attempt)).rejects.toMatchObject({ kind: "io.resolve" });
  });

  test("the signal ends it, and all that is under way", async () => {
    const attempts = new Attempts();
    const stop = new AbortController();
    const won = race([v6(1), v4(1), v4(2)], attempts.attempt, { signal: stop.signal });
    const told = won.catch((error: Error) => error.message);
    await pass(ATTEMPT_DELAY_MS);
    stop.abort(new Error("enough"));
    expect(await told).toBe("enough");
    expect(attempts.abandoned).toEqual([v6(1).address, v4(1).address]);
    await pass(10 * ATTEMPT_DELAY_MS);
    expect(attempts.begun).toHaveLength(2);
  });

  test("a signal that has fired already lets nothing begin", async () => {
    const attempts = new Attempts();
    const won = race([v4(1)], attempts.attempt, { signal: AbortSignal.abort(new Error("enough")) });
    await expect(won).rejects.toThrow("enough");
    expect(attempts.begun).toEqual([]);
  });
});
