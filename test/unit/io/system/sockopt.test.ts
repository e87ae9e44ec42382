import { afterAll, describe, expect, test } from "bun:test";
import { available } from "../../../../src/io/system/libc.ts";
import * as sockopt from "../../../../src/io/system/sockopt.ts";

/** What the system can do here; elsewhere the same calls must say no, and nothing worse. */
const linux = process.platform === "linux" && available;

const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
const tcp = await Bun.connect({ hostname: "127.0.0.1", port: listener.port, socket: { data() {} } });
const udp = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
const tcpFd = (tcp as unknown as { fd: number }).fd;
const udpFd = (udp as unknown as { fd: number }).fd;

afterAll(() => {
  tcp.terminate();
  listener.stop(true);
  udp.close();
});

const NO_SOCKET = -1;

describe("on a live socket", () => {
  test.if(linux)("every option is taken", () => {
    expect({
      noDelay: sockopt.setNoDelay(tcpFd, false),
      lowat: sockopt.setNotSentLowat(tcpFd, 16_384),
      userTimeout: sockopt.setUserTimeout(tcpFd, 10_000),
      sendBuffer: sockopt.setSendBuffer(tcpFd, 65_536),
      receiveBuffer: sockopt.setReceiveBuffer(tcpFd, 65_536),
      receiveErrors: sockopt.clearReceiveErrors(udpFd),
      dontFragment: sockopt.setDontFragment(udpFd),
    }).toEqual({
      noDelay: true,
      lowat: true,
      userTimeout: true,
      sendBuffer: true,
      receiveBuffer: true,
      receiveErrors: true,
      dontFragment: true,
    });
  });

  test.if(linux)("congestion control can be asked for and changed; one that does not exist is refused", () => {
    const before = sockopt.getCongestionControl(tcpFd);
    expect(before).toMatch(/^[a-z0-9_-]+$/);
    expect(sockopt.setCongestionControl(tcpFd, "no_such_one")).toBe(false);
    expect(sockopt.getCongestionControl(tcpFd)).toBe(before);
    // Reno is compiled into every kernel and allowed to everybody.
    expect(sockopt.setCongestionControl(tcpFd, "reno")).toBe(true);
    expect(sockopt.getCongestionControl(tcpFd)).toBe("reno");
  });

  test.if(linux)("TCP_INFO shows what was sent and acknowledged", async () => {
    tcp.write(new Uint8Array(5_000));
    let info = sockopt.tcpInfo(tcpFd);
    while ((info?.bytesAcked ?? 0) < 5_000) {
      await new Promise((resolve) => setImmediate(resolve));
      info = sockopt.tcpInfo(tcpFd);
    }
    expect(info).toMatchObject({ unackedSegments: 0, unsentBytes: 0, backoff: 0, totalRetransmits: 0 });
    expect(info?.mss).toBeGreaterThan(500);
    expect(info?.sendCwnd).toBeGreaterThan(0);
    expect(info?.rttMs).toBeGreaterThan(0);
    expect(info?.rttMs).toBeLessThan(1_000);
  });

  test("it stays right over many calls: memory behind a pointer must not move", () => {
    const congestion = sockopt.getCongestionControl(tcpFd);
    const seen = new Set<string>();
    for (let i = 0; i < 20_000; i++) seen.add(`${sockopt.getCongestionControl(tcpFd)} ${sockopt.tcpInfo(tcpFd)?.mss}`);
    expect(seen.size).toBe(1);
    expect([...seen][0]).toStartWith(`${congestion} `);
  });
});

test("without a socket every call says no, and none throws", () => {
  expect({
    noDelay: sockopt.setNoDelay(NO_SOCKET, true),
    lowat: sockopt.setNotSentLowat(NO_SOCKET, 16_384),
    userTimeout: sockopt.setUserTimeout(NO_SOCKET, 10_000),
    sendBuffer: sockopt.setSendBuffer(NO_SOCKET, 65_536),
    receiveBuffer: sockopt.setReceiveBuffer(NO_SOCKET, 65_536),
    congestion: sockopt.setCongestionControl(NO_SOCKET, "cubic"),
    has: sockopt.getCongestionControl(NO_SOCKET),
    info: sockopt.tcpInfo(NO_SOCKET),
  }).toEqual({
    noDelay: false,
    lowat: false,
    userTimeout: false,
    sendBuffer: false,
    receiveBuffer: false,
    congestion: false,
    has: undefined,
    info: undefined,
  });
});
