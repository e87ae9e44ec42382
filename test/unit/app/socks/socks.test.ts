import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "node:net";
import { ipFamily } from "../../../../src/core/net/ip.ts";
import { decodeUdp, encodeUdp } from "../../../../src/core/socks/udp-header.ts";
import { hex } from "../../../bytes.ts";
import { udpEnd } from "../../../e2e/support/udp-end.ts";
import { drivenTime, until } from "../../../e2e/support/until.ts";
import { Program, SocksBed, tcpServer } from "./socks-bed.ts";

setDefaultTimeout(20_000);

const GREETING = "050100";

/** What a program hears that says `bytes`, until the proxy ends. */
async function answer(bed: SocksBed, bytes: Uint8Array | string): Promise<string> {
  const program = await bed.client();
  program.send(bytes);
  const heard = await program.ended();
  program.socket.end();
  return heard.toString("hex");
}

function refusals(bed: SocksBed): Record<string, number> {
  const all = [
    ...bed.proxy.counters.refused,
    ...[...bed.exit.counters.refused].map(([k, n]) => [`exit ${k}`, n] as const),
  ];
  return Object.fromEntries(all.filter(([, count]) => count > 0));
}

describe("a connection", () => {
  test("carries bytes both ways, and each end by itself", async () => {
    const heard = Promise.withResolvers<Program>();
    using server = await tcpServer((program) => heard.resolve(program));
    using bed = new SocksBed();
    const program = await bed.connected(server.port);
    program.send("up");
    const other = await heard.promise;
    await other.has(2);
    program.socket.end();
    expect((await other.ended()).toString()).toBe("up");
    other.socket.end("down");
    expect((await program.ended()).toString()).toBe("down");
    expect([await program.over(), await other.over()]).toEqual(["cleanly", "cleanly"]);
    await until("nothing open", () => bed.proxy.counters.open.connect === 0 && bed.exit.counters.open.connect === 0);
    expect(bed.proxy.counters.bytes).toEqual({ up: 2, down: 4 });
    expect(bed.exit.counters.bytes).toEqual({ up: 2, down: 4 });
    expect(bed.streams.open_.size).toBe(0);
  });

  test("may end at the destination first", async () => {
    const heard = Promise.withResolvers<Program>();
    using server = await tcpServer((program) => {
      program.socket.end("down");
      heard.resolve(program);
    });
    using bed = new SocksBed();
    const program = await bed.connected(server.port);
    expect((await program.ended()).toString()).toBe("down");
    program.socket.end("up");
    const other = await heard.promise;
    expect((await other.ended()).toString()).toBe("up");
    expect([await program.over(), await other.over()]).toEqual(["cleanly", "cleanly"]);
  });

  test("that speaks before it is told that it may is heard", async () => {
    using server = await tcpServer((program) => program.socket.pipe(program.socket));
    using bed = new SocksBed();
    const program = await bed.client();
    const { port } = server;
    program.send(Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff, 0x68, 0x69]));
    expect((await program.has(14)).subarray(12).toString()).toBe("hi");
  });

  const breaks: Record<string, (program: Program, other: Program, bed: SocksBed) => readonly Program[]> = {
    "the program": (program, other) => {
      program.socket.resetAndDestroy();
      return [other];
    },
    "the destination": (program, other) => {
      other.socket.resetAndDestroy();
      return [program];
    },
    "the way": (program, other, bed) => {
      bed.streams.cut();
      return [program, other];
    },
    "the proxy": (program, other, bed) => {
      bed.proxy[Symbol.dispose]();
      return [program, other];
    },
    "the agent": (program, other, bed) => {
      bed.exit[Symbol.dispose]();
      return [program, other];
    },
  };
  test("whose program ends with its request is asked for, and answered", async () => {
    using server = await tcpServer((program) => {
      program.socket.on("end", () => program.socket.end(`heard ${program.received}`));
    });
    using bed = new SocksBed();
    const program = await bed.client();
    const { port } = server;
    program.socket.end(Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff, 0x68, 0x69]));
    expect((await program.ended()).subarray(12).toString()).toBe("heard hi");
    expect(await program.over()).toBe("cleanly");
  });

  test.each(Object.entries(breaks))("that is broken by %s looks broken", async (_who, breakIt) => {
    const heard = Promise.withResolvers<Program>();
    using server = await tcpServer((program) => heard.resolve(program));
    using bed = new SocksBed();
    const program = await bed.connected(server.port);
    const other = await heard.promise;
    other.send("half of it");
    await program.has(10);
    program.send("half");
    await other.has(4);
    for (const end of breakIt(program, other, bed)) {
      expect(await end.over()).toBe("broken");
      expect(end.hasEnded).toBe(false);
    }
    await until("nothing open", () => bed.streams.open_.size === 0);
  });

  test("that is not read is held back, with little waiting on the way, and loses nothing", async () => {
    const whole = Buffer.alloc(24_000_000, "0123456789abcdef");
    using server = await tcpServer((program) => program.socket.end(whole));
    using bed = new SocksBed();
    const program = await bed.connected(server.port);
    program.socket.pause();
    let before = -1;
    await until("it stands", () => {
      const moved = bed.exit.counters.bytes.down;
      const stands = moved === before;
      before = moved;
      return stands && moved > 0;
    });
    const held = bed.streams.waited;
    program.socket.resume();
    await program.ended();
    expect(program.received.length).toBe(whole.length);
    expect(Bun.hash(program.received)).toBe(Bun.hash(whole));
    // The pair's window, and one read of the socket.
    expect(held).toBeLessThan(2_000_000);
  });

  test("of HTTP CONNECT is the same", async () => {
    using server = await tcpServer((program) => program.socket.pipe(program.socket));
    using bed = new SocksBed();
    const program = await bed.client();
    program.send(`CONNECT 127.0.0.1:${server.port} HTTP/1.1\r\n\r\n`);
    await program.has(39);
    program.socket.end("hello");
    expect((await program.ended()).toString()).toBe("HTTP/1.1 200 Connection established\r\n\r\nhello");
  });
});

describe("what programs are told", () => {
  test.each([
    ["malformed", "04010050 08080404 00", "", { malformed: 1 }],
    ["no method", "05 01 02", "05ff", { auth_missing: 1 }],
    ["BIND", `${GREETING} 05020001 08080404 0050`, "0500 05070001 00000000 0000", { command: 1 }],
    ["address type", `${GREETING} 05010005 08`, "0500 05080001 00000000 0000", { address_type: 1 }],
    [
      "not allowed",
      `${GREETING} 05010001 0a000001 0050`,
      "0500 05020001 00000000 0000",
      { not_allowed: 1, "exit private": 1 },
    ],
    [
      "the agent's own",
      `${GREETING} 05010001 c0000201 0050`,
      "0500 05020001 00000000 0000",
      { not_allowed: 1, "exit own": 1 },
    ],
    ["refused", `${GREETING} 05010001 7f000001 0001`, "0500 05050001 00000000 0000", { refused: 1, "exit refused": 1 }],
    [
      "no such name",
      `${GREETING} 05010003 ff ${"61".repeat(255)} 0050`,
      "0500 05040001 00000000 0000",
      { host_unreachable: 1, "exit resolve": 1 },
    ],
  ])("%s", async (_what, said, heard, counted) => {
    const resolve = () => Promise.reject(new Error("no such name"));
    using bed = new SocksBed({ destinations: ["127.0.0.1"], resolve });
    expect(await answer(bed, hex(said))).toBe(heard.replaceAll(" ", ""));
    expect(refusals(bed)).toEqual(counted);
    await until("nothing open", () => bed.streams.open_.size === 0 && bed.proxy.counters.open.connect === 0);
    // Where to stands in lines of level debug alone.
    const above = bed.lines.filter(({ level }) => level !== "debug");
    expect(JSON.stringify(above)).not.toMatch(/10\.0\.0\.1|aaaa|192\.0\.2\.1/);
    expect(above.map(({ event }) => event)).toContain("socks_refused");
  });

  test("that the agent is out of reach, with a line that says what to do", async () => {
    using bed = new SocksBed();
    bed.streams.isDown = true;
    expect(await answer(bed, hex(`${GREETING} 05010001 7f000001 0001`))).toBe("050005010001000000000000");
    expect(refusals(bed)).toEqual({ agent_unreachable: 1 });
    expect(bed.lines.find(({ event }) => event === "socks_agent_unreachable")).toMatchObject({
      level: "error",
      peer: "office",
      hint: expect.stringContaining("ut nat explain office"),
    });
    await until("nothing open", () => bed.proxy.counters.open.connect === 0);
  });

  test("nothing of a way that broke before the agent's answer: the request goes again", async () => {
    using server = await tcpServer((program) => program.socket.end("in"));
    using bed = new SocksBed();
    bed.streams.cutsNext = 2;
    expect((await (await bed.connected(server.port)).ended()).toString()).toBe("in");
    bed.streams.cutsNext = 3;
    expect(await answer(bed, hex(`${GREETING} 05010001 7f000001 0001`))).toBe("050005010001000000000000");
    expect(refusals(bed)).toEqual({ agent_unreachable: 1 });
    await until("nothing open", () => bed.proxy.counters.open.connect === 0);
  });

  test("users get in by their password", async () => {
    using server = await tcpServer((program) => program.socket.end("in"));
    using bed = new SocksBed({ users: { ann: "secret" } });
    const login = (password: string) =>
      Buffer.concat([hex("050102 01 03"), Buffer.from("ann"), Buffer.of(6), Buffer.from(password)]);
    expect(await answer(bed, login("Secret"))).toBe("05020101");
    const program = await bed.client();
    program.send(login("secret"));
    program.send(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, server.port >> 8, server.port & 0xff]));
    await program.ended();
    expect(program.received.subarray(14).toString()).toBe("in");
    expect(refusals(bed)).toEqual({ auth_failed: 1 });
    expect(JSON.stringify(bed.lines)).not.toContain("ecret");
  });

  test("who says nothing, or too little, is gone after 10 s", async () => {
    using time = drivenTime();
    using bed = new SocksBed();
    const programs = await Promise.all([bed.client(), bed.client(), bed.client()]);
    programs[1]?.send(hex("05"));
    programs[2]?.send("CONNECT a");
    await until("three", () => bed.lines.length >= 0 && programs.every(({ socket }) => socket.readyState === "open"));
    time.advance(9_000);
    expect(programs.map(({ closed }) => closed)).toEqual([undefined, undefined, undefined]);
    time.advance(2_000);
    await Promise.all(programs.map((program) => program.ended()));
    expect(refusals(bed)).toEqual({ timeout: 3 });
  });
});

describe("a UDP association", () => {
  /** The association, and where its datagrams go. */
  async function associate(bed: SocksBed) {
    const program = await bed.client();
    program.send(hex(`${GREETING} 05030001 00000000 0000`));
    const reply = (await program.has(12)).subarray(2);
    expect(reply.subarray(0, 8).toString("hex")).toBe("050000017f000001");
    return { program, port: reply.readUInt16BE(8) };
  }

  test("carries datagrams of any size to whom they are for, and back from whom they are", async () => {
    using echo = await udpEnd({ echo: true });
    using bed = new SocksBed();
    using end = await udpEnd();
    const { port } = await associate(bed);
    const destination = { host: "127.0.0.1", port: echo.port };
    const sizes = [0, 1, 512, 1_400, 9_000, 60_000];
    for (const [index, size] of sizes.entries()) {
      end.sendTo(port, encodeUdp(destination, new Uint8Array(size).fill(index)));
      await end.count(index + 1);
    }
    expect(end.received.map((bytes) => decodeUdp(bytes))).toEqual(
      sizes.map((size, index) => ({ ok: true, destination, payload: new Uint8Array(size).fill(index) })),
    );
    expect(bed.proxy.counters.datagrams).toEqual({ up: 6, down: 6 });
    expect(bed.exit.counters.datagrams).toEqual({ up: 6, down: 6 });
  });

  test("takes them from the program alone, and each is judged", async () => {
    using echo = await udpEnd({ echo: true });
    using bed = new SocksBed({ destinations: [`127.0.0.1:${echo.port}`] });
    using end = await udpEnd();
    using stranger = await udpEnd();
    const { port } = await associate(bed);
    const good = encodeUdp({ host: "127.0.0.1", port: echo.port }, hex("01"));
    end.sendTo(port, good);
    await end.count(1);
    stranger.sendTo(port, good);
    const bad = [
      hex(""),
      hex("000001 01 7f000001 0001 01"),
      hex("000000 02 7f000001 0001 01"),
      encodeUdp({ host: "127.0.0.1", port: 9 }, hex("01")),
      encodeUdp({ host: "10.0.0.1", port: echo.port }, hex("01")),
      encodeUdp({ host: "::ffff:127.0.0.2", port: echo.port }, hex("01")),
    ];
    for (const datagram of bad) end.sendTo(port, datagram);
    end.sendTo(port, good);
    await end.count(2);
    await until("all judged", () => Object.values(refusals(bed)).reduce((sum, count) => sum + count, 0) === 7);
    expect(refusals(bed)).toEqual({
      udp_source: 1,
      udp_fragment: 1,
      udp_malformed: 2,
      "exit loopback": 2,
      "exit private": 1,
    });
    expect([echo.received.length, stranger.received.length]).toEqual([2, 0]);
  });

  test("brings nothing from whom nobody wrote to", async () => {
    using echo = await udpEnd({ echo: true });
    using bed = new SocksBed();
    using end = await udpEnd();
    using stranger = await udpEnd();
    const { port } = await associate(bed);
    end.sendTo(port, encodeUdp({ host: "127.0.0.1", port: echo.port }, hex("01")));
    await end.count(1);
    stranger.sendTo(echo.fromPorts[0] ?? 0, hex("02"));
    await until("the stranger", () => bed.exit.counters.refused.get("udp_source") === 1);
    expect(end.received).toHaveLength(1);
  });

  test("ends with its TCP connection, by either way to end", async () => {
    using bed = new SocksBed();
    const first = await associate(bed);
    const second = await associate(bed);
    expect(bed.exit.counters.open.udp).toBe(2);
    first.program.socket.end();
    second.program.socket.resetAndDestroy();
    await until("both over", () => bed.proxy.counters.open.udp === 0 && bed.exit.counters.open.udp === 0);
    expect(await first.program.over()).toBe("cleanly");
  });

  test("is over when the way breaks, and the program hears so", async () => {
    using bed = new SocksBed();
    const { program } = await associate(bed);
    bed.streams.cut();
    expect(await program.over()).toBe("broken");
    expect(bed.proxy.counters.open.udp).toBe(0);
  });

  test("looks names up at the agent, once", async () => {
    using echo = await udpEnd({ echo: true });
    let lookups = 0;
    const resolve = async () => {
      lookups += 1;
      return [{ address: "127.0.0.1", family: 4 }];
    };
    using bed = new SocksBed({ resolve });
    using end = await udpEnd();
    const { port } = await associate(bed);
    for (let i = 0; i < 3; i++) {
      end.sendTo(port, encodeUdp({ host: "dns.example", port: echo.port }, Uint8Array.of(i)));
      await end.count(i + 1);
    }
    expect(lookups).toBe(1);
    expect(decodeUdp(end.received[2] ?? hex(""))).toMatchObject({
      destination: { host: "127.0.0.1", port: echo.port },
    });
  });

  const askByName = async (bed: SocksBed) => {
    using echo = await udpEnd({ echo: true });
    using end = await udpEnd();
    const { port } = await associate(bed);
    await until("an answer", () => {
      end.sendTo(port, encodeUdp({ host: "dns.example", port: echo.port }, Uint8Array.of(1)));
      return end.received.length > 0;
    });
  };

  test("sends to the first address of a name that there is a route to", async () => {
    // Link-local without an interface: there is none, on any machine.
    const resolve = async () => ["fe80::1", "127.0.0.1"].map((address) => ({ address, family: ipFamily(address) }));
    using bed = new SocksBed({ destinations: ["fe80::/10", "127.0.0.1"], resolve });
    await askByName(bed);
  });

  test("looks a name up again that it could not look up", async () => {
    let lookups = 0;
    const resolve = async () => {
      lookups += 1;
      if (lookups === 1) throw new Error("no answer");
      return [{ address: "127.0.0.1", family: 4 }];
    };
    using bed = new SocksBed({ resolve });
    await askByName(bed);
    expect(lookups).toBe(2);
  });
});

test("a peer has 128 associations at a time, and the next one is told so", async () => {
  using bed = new SocksBed();
  const request = hex(`${GREETING} 05030001 00000000 0000`);
  const ask = async () => {
    const program = await bed.client();
    program.send(request);
    return (await program.has(12))[3];
  };
  const replies: (number | undefined)[] = [];
  for (let i = 0; i < 129; i++) replies.push(await ask());
  expect(replies).toEqual([...Array(128).fill(0), 1]);
  expect(refusals(bed)).toEqual({ general_failure: 1, "exit crowded": 1 });
});

test("a connection on which nothing moves for 2 h 4 min breaks at both ends", async () => {
  using time = drivenTime();
  const heard = Promise.withResolvers<Program>();
  using server = await tcpServer((program) => heard.resolve(program));
  using bed = new SocksBed();
  const program = await bed.connected(server.port);
  const other = await heard.promise;
  time.advance(120 * 60_000);
  program.send("still here");
  await other.has(10);
  time.advance(123 * 60_000);
  expect(program.closed).toBeUndefined();
  time.advance(3 * 60_000);
  expect([await program.over(), await other.over()]).toEqual(["broken", "broken"]);
});

test("one of too many that have not asked makes room, and too many at all are turned away", async () => {
  using server = await tcpServer(() => {});
  using bed = new SocksBed();
  const idle: Program[] = [];
  for (let i = 0; i < 513; i++) idle.push(new Program(connect({ port: bed.proxy.port, host: "127.0.0.1" })));
  await until("the oldest is gone", () => idle[0]?.closed !== undefined);
  expect(refusals(bed)).toEqual({ crowded: 1 });
  const program = await bed.connected(server.port);
  expect(program.closed).toBeUndefined();
  for (const one of idle) one.socket.destroy();
});
