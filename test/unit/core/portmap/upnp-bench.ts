import type { Endpoint } from "../../../../src/core/net/endpoint.ts";
import type { GatewayRequest, GatewayResult, PortMapClientEvent } from "../../../../src/core/portmap/protocol.ts";
import { UpnpClient } from "../../../../src/core/portmap/upnp.ts";
import { utf8 } from "../../../bytes.ts";

export const GATEWAY = "10.1.0.1";
export const LOCATION = `http://${GATEWAY}:5000/root.xml`;
export const IP_CONNECTION = "urn:schemas-upnp-org:service:WANIPConnection";

/** What the gateway does about a call; arguments by name. `undefined`: nothing, ever. */
export type Answers = Record<string, (values: ReadonlyMap<string, string>) => GatewayResult | undefined>;

/** A client, a gateway that answers as told, and a clock that stands still until it is moved. */
export class Bench {
  readonly client: UpnpClient;
  readonly answers: Answers;
  /** Every request, in short: "GET 5000 /root.xml", "AddPortMapping 7000 udp for 120 s". */
  readonly requests: string[] = [];
  /** Places that answers to a search name; none: nobody answers. */
  locations = [LOCATION];
  now = 0;
  #unanswered: GatewayRequest[] = [];

  constructor(answers: Answers = {}) {
    this.answers = {
      "/root.xml": () => page(description({ version: 1 })),
      GetExternalIPAddress: () => success("GetExternalIPAddress", { NewExternalIPAddress: "203.0.113.7" }),
      AddPortMapping: () => success("AddPortMapping", {}),
      DeletePortMapping: () => success("DeletePortMapping", {}),
      ...answers,
    };
    this.client = new UpnpClient({
      random: (length) => new Uint8Array(length).fill(1),
      gateway: GATEWAY,
      localAddress: "10.1.0.11",
      transport: "udp",
      internalPort: 6_000,
      externalPort: 7_000,
      leaseSeconds: 120,
      nonce: new Uint8Array(12),
      description: "ut",
    });
  }

  /** Asks for the mapping: what comes of it at once. */
  map(): PortMapClientEvent[] {
    this.client.map(this.now);
    return this.settle();
  }

  unmap(): PortMapClientEvent[] {
    this.client.unmap(this.now);
    return this.settle();
  }

  receive(text: string, from: Endpoint = { address: GATEWAY, port: 1900 }): PortMapClientEvent[] {
    this.client.handleDatagram(this.now, { socket: 2, from, payload: utf8(text) });
    return this.settle();
  }

  /** Lets the gateway answer until nothing more is to be done now. */
  settle(): PortMapClientEvent[] {
    const events: PortMapClientEvent[] = [];
    for (let isBusy = true; isBusy; ) {
      isBusy = this.#answerSearch();
      for (let event = this.client.pollEvent(); event !== undefined; event = this.client.pollEvent()) {
        if (event.type === "request") isBusy = this.#answer(event.request) || isBusy;
        else events.push(event);
      }
    }
    return events;
  }

  /** Moves the clock from one timeout to the next until something is told or nothing is due any more. */
  wait(limitMs = 60_000): PortMapClientEvent[] {
    const end = this.now + limitMs;
    for (;;) {
      const due = this.#nextTimeout();
      if (due > end) return [];
      this.now = Math.max(this.now, due);
      this.#expireRequests();
      this.client.handleTimeout(this.now);
      const events = this.settle();
      if (events.length > 0) return events;
    }
  }

  /** The gateway answers after all what it has let hang. */
  answerLate(result: GatewayResult): PortMapClientEvent[] {
    const request = this.#unanswered.shift();
    if (request !== undefined) this.client.handleHttp(this.now, request.id, result);
    return this.settle();
  }

  #answerSearch(): boolean {
    let hasAsked = false;
    for (let next = this.client.pollTransmit(); next !== undefined; next = this.client.pollTransmit()) hasAsked = true;
    if (!hasAsked) return false;
    const from = { address: GATEWAY, port: 1900 };
    for (const location of this.locations)
      this.client.handleDatagram(this.now, { socket: 2, from, payload: utf8(searchAnswer(location)) });
    return true;
  }

  #answer(request: GatewayRequest): boolean {
    const action = /#(\w+)"/.exec(request.headers.SOAPAction ?? "")?.[1];
    const values = new Map(
      [...request.body.matchAll(/<(New\w+)>([^<]*)</g)].map(([, name = "", text = ""]) => [name, text]),
    );
    this.requests.push(short(request, action, values));
    const answer = this.answers[action ?? request.path];
    const result = answer === undefined ? page("not found", 404) : answer(values);
    if (result === undefined) this.#unanswered.push({ ...request, timeoutMs: this.now + request.timeoutMs });
    else this.client.handleHttp(this.now, request.id, result);
    return result !== undefined;
  }

  /** The shell's part: requests end after their time. (`timeoutMs` of those that hang is when.) */
  #expireRequests(): void {
    const expired = this.#unanswered.filter(({ timeoutMs }) => timeoutMs <= this.now);
    this.#unanswered = this.#unanswered.filter(({ timeoutMs }) => timeoutMs > this.now);
    for (const { id } of expired) this.client.handleHttp(this.now, id, TIMED_OUT);
  }

  #nextTimeout(): number {
    return Math.min(this.client.nextTimeout(), ...this.#unanswered.map(({ timeoutMs }) => timeoutMs));
  }
}

const TIMED_OUT: GatewayResult = { ok: false, kind: "timeout", message: "no whole answer within 3000 ms" };

export function page(body: string, status = 200): GatewayResult {
  return { ok: true, status, body };
}

export function success(action: string, values: Record<string, string | number>): GatewayResult {
  const inside = Object.entries(values).map(([name, value]) => `<${name}>${value}</${name}>`);
  return page(
    `<s:Envelope><s:Body><u:${action}Response>${inside.join("")}</u:${action}Response></s:Body></s:Envelope>`,
  );
}

export function fault(code: number): GatewayResult {
  return page(
    `<s:Envelope><s:Body><s:Fault><UPnPError><errorCode>${code}</errorCode></UPnPError></s:Fault></s:Body></s:Envelope>`,
    500,
  );
}

export function description({ version, controls = ["/ctl"] }: { version: number; controls?: string[] }): string {
  const services = controls.map(
    (control) =>
      `<service><serviceType>${IP_CONNECTION}:${version}</serviceType><controlURL>${control}</controlURL></service>`,
  );
  return `<root><device><serviceList>${services.join("")}</serviceList></device></root>`;
}

export function searchAnswer(location: string): string {
  return `HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nLOCATION: ${location}\r\n\r\n`;
}

function short(
  { method, port, path }: GatewayRequest,
  action: string | undefined,
  values: Map<string, string>,
): string {
  if (action === undefined) return `${method} ${port} ${path}`;
  if (!values.has("NewExternalPort")) return `${action} ${path}`;
  const lease = values.get("NewLeaseDuration");
  return `${action} ${values.get("NewExternalPort")}${lease === undefined ? "" : ` for ${lease} s`}`;
}
