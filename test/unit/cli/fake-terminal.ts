import type { Terminal } from "../../../src/cli/command.ts";

/** A terminal that remembers: `printed` is all of stdout, one entry for each call. */
export function fakeTerminal(some: Partial<Terminal> = {}): Terminal & { printed: string[]; complained: string[] } {
  const printed: string[] = [];
  const complained: string[] = [];
  return {
    printed,
    complained,
    out: (text) => printed.push(text),
    err: (text) => complained.push(text),
    interactive: false,
    columns: 100,
    signal: new AbortController().signal,
    ...some,
  };
}
