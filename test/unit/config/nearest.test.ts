import { describe, expect, test } from "bun:test";
import { nearest } from "../../../src/config/nearest.ts";

const KEYS = ["server_addr", "listen_addr", "lanes", "tcp_nodelay", "idle_seconds", "sndbuf", "rcvbuf"];

describe("a misspelt word finds what it was meant to be", () => {
  const cases: [word: string, meant: string | undefined][] = [
    ["lane", "lanes"],
    ["lnaes", "lanes"],
    ["Lanes", "lanes"],
    ["sever_addr", "server_addr"],
    ["serverAddr", "server_addr"],
    ["server-addr", "server_addr"],
    ["adress", undefined],
    ["idle", "idle_seconds"],
    ["nodelay", "tcp_nodelay"],
    ["sndbuff", "sndbuf"],
    ["idle_timeout", undefined],
    ["x", undefined],
    ["", undefined],
    ["completely_else", undefined],
  ];
  for (const [word, meant] of cases) test(`"${word}"`, () => expect(nearest(word, KEYS)).toBe(meant as string));

  test("nothing is near to no candidates", () => expect(nearest("lanes", [])).toBeUndefined());
});
