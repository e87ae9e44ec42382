import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { Datagram } from "../../src/core/machine.ts";
import { openFan, type UdpFan } from "../../src/io/udp/udp-fan.ts";
import { utf8 } from "../bytes.ts";
import { inside, openInside } from "./inside.ts";
import type { Namespace } from "./namespace.ts";

export const HTTP_PORT = 5_000;
const SSDP_PORT = 1_900;

/** What a connection gets when its request came, by what was asked: the path of a GET, the action of a call. */
export type Reply = string | ((socket: Socket) => void);

/**
 * A UPnP gateway that does whatever a test says, on a router of the lab: it hears searches that are sent to it directly
 * and speaks HTTP as raw bytes.
 */
export class HostileGateway implements Disposable {
  /** What was asked of it by HTTP. */
  readonly asked: string[] = [];
  /** Its socket at port 1900. */
  readonly fan: UdpFan;
  readonly #replies: Readonly<Record<string, Reply>>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(fan: UdpFan, replies: Readonly<Record<string, Reply>>) {
    this.fan = fan;
    this.#replies = replies;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("data", (data) => this.#reply(socket, data.toString("latin1")));
    });
  }

  /** @param search what to do about each search that comes */
  static async open(
    host: Namespace,
    address: string,
    search: (fan: UdpFan, from: Datagram["from"]) => void,
    replies: Readonly<Record<string, Reply>> = {},
  ): Promise<HostileGateway> {
    const fan = await openInside(host, () => openFan([{ address, port: SSDP_PORT }]));
    fan.onDatagram = ({ from }) => search(fan, from);
    const gateway = new HostileGateway(fan, replies);
    await once(
      inside(host, () => gateway.#server.listen(HTTP_PORT, address)),
      "listening",
    );
    return gateway;
  }

  [Symbol.dispose](): void {
    this.fan[Symbol.dispose]();
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #reply(socket: Socket, request: string): void {
    const what = /^SOAPAction: "[^#]*#(\w+)"/im.exec(request)?.[1] ?? /^GET (\S+)/.exec(request)?.[1];
    // The body of a call may come by itself.
    if (what === undefined) return;
    this.asked.push(what);
    const reply = this.#replies[what] ?? http("not found", "404 Not Found");
    if (typeof reply === "string") socket.end(reply);
    else reply(socket);
  }
}

/** Answers a search with these places. */
export function located(...locations: readonly string[]) {
  return (fan: UdpFan, from: Datagram["from"]): void =>
    fan.send(
      locations.map((location) => ({
        socket: 0,
        to: from,
        payload: utf8(`HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: ${location}\r\n\r\n`),
      })),
    );
}

export function http(body: string, status = "200 OK", headers = ""): string {
  return `HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}Connection: close\r\n\r\n${body}`;
}

/** Writes `chunk` behind `head` as long as somebody reads. */
export function endless(head: string, chunk: string): Reply {
  return (socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on("drain", more);
    socket.write(head);
    more();
  };
}

/** A byte now and then, under a promise of many. */
export function dripping(): Reply {
  return (socket) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    const drip = setInterval(() => socket.write("<"), 50);
    socket.on("close", () => clearInterval(drip));
  };
}
