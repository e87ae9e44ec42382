import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MAX_SERVICES, parseDescription } from "../../../../src/core/portmap/upnp-description.ts";

const GATEWAY = "192.168.1.254";
const LOCATION = { port: 5000, path: "/desc/root.xml" };

function vector(name: string): string {
  return readFileSync(join(import.meta.dir, "../../../vectors/upnp", name), "utf8");
}

function service(type: string, control: string): string {
  return `<service><serviceType>urn:schemas-upnp-org:service:${type}</serviceType><controlURL>${control}</controlURL></service>`;
}

function root(...inside: string[]): string {
  return `<?xml version="1.0"?><root><device><serviceList>${inside.join("")}</serviceList></device></root>`;
}

describe("descriptions of real gateways", () => {
  test("miniupnpd, IGD v2", () => {
    expect(parseDescription(vector("miniupnpd-igd2.xml"), GATEWAY, LOCATION)).toEqual({
      ok: true,
      services: [
        {
          type: "urn:schemas-upnp-org:service:WANIPConnection:2",
          version: 2,
          control: { port: 5000, path: "/ctl/IPConn" },
        },
      ],
    });
  });

  test("FRITZ!Box: the IP connection goes before the PPP one", () => {
    expect(parseDescription(vector("fritzbox.xml"), GATEWAY, { port: 49000, path: "/igddesc.xml" })).toEqual({
      ok: true,
      services: [
        {
          type: "urn:schemas-upnp-org:service:WANIPConnection:1",
          version: 1,
          control: { port: 49000, path: "/igdupnp/control/WANIPConn1" },
        },
        {
          type: "urn:schemas-upnp-org:service:WANPPPConnection:1",
          version: 1,
          control: { port: 49000, path: "/igdupnp/control/WANPPPConn1" },
        },
      ],
    });
  });

  test("an old router: URLBase, relative URL, bare ampersand, a byte behind the end", () => {
    expect(parseDescription(vector("urlbase.xml"), GATEWAY, LOCATION)).toEqual({
      ok: true,
      services: [
        {
          type: "urn:schemas-upnp-org:service:WANPPPConnection:1",
          version: 1,
          control: { port: 2555, path: "/upnp/0f1e2d3c/WANPPPConn1.ctl?dev=ppp0&unit=1" },
        },
      ],
    });
  });
});

describe("where calls go", () => {
  test.each([
    ["relative to the description", "ctl", { port: 5000, path: "/desc/ctl" }],
    ["absolute path", "/ctl", { port: 5000, path: "/ctl" }],
    ["absolute URL", `http://${GATEWAY}:6000/ctl`, { port: 6000, path: "/ctl" }],
    ["without a scheme", `//${GATEWAY}:6000/ctl`, { port: 6000, path: "/ctl" }],
  ])("%s", (_, control, expected) => {
    const description = parseDescription(root(service("WANIPConnection:1", control)), GATEWAY, LOCATION);
    expect(description).toMatchObject({ ok: true, services: [{ control: expected }] });
  });

  test("a URLBase that leads elsewhere is ignored: the control URL still stays on the gateway", () => {
    const text = root(service("WANIPConnection:1", "ctl")).replace(
      "<root>",
      "<root><URLBase>http://192.0.2.9/</URLBase>",
    );
    const expected = { ok: true, services: [{ control: { port: 5000, path: "/desc/ctl" } }] };
    expect(parseDescription(text, GATEWAY, LOCATION)).toMatchObject(expected);
  });

  test("a service elsewhere is dropped, and nothing is left when there is no other", () => {
    const away = service("WANIPConnection:2", "http://192.0.2.9/ctl");
    expect(parseDescription(root(away), GATEWAY, LOCATION)).toEqual({ ok: false, kind: "leaves-gateway" });
    expect(parseDescription(root(away, service("WANPPPConnection:1", "/ctl")), GATEWAY, LOCATION)).toMatchObject({
      ok: true,
      services: [{ type: "urn:schemas-upnp-org:service:WANPPPConnection:1" }],
    });
  });
});

describe("what is no gateway", () => {
  test.each([
    ["a media server", root(service("ContentDirectory:1", "/ctl")), "no-wan-service"],
    ["a service with another name", root(service("WANIPConnectionX:1", "/ctl")), "no-wan-service"],
    ["no service", "<root><device/></root>", "no-wan-service"],
    ["a page", "<!DOCTYPE html><html><body>Login</body></html>", "doctype"],
    ["half of it", root(service("WANIPConnection:1", "/ctl")).slice(0, -30), "cut-off"],
    ["nothing", "", "cut-off"],
  ])("%s", (_, text, kind) => {
    expect(parseDescription(text, GATEWAY, LOCATION)).toEqual({ ok: false, kind } as never);
  });

  test("of many services the first ones are taken", () => {
    const many = root(...Array.from({ length: 50 }, (_, i) => service("WANIPConnection:1", `/${i}`)));
    const description = parseDescription(many, GATEWAY, LOCATION);
    expect(description.ok && description.services.map(({ control }) => control.path)).toEqual(
      Array.from({ length: MAX_SERVICES }, (_, i) => `/${i}`),
    );
  });
});
