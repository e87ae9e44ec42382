import { describe, expect, test } from "bun:test";
import { decodeAnswer, encodeCall } from "../../../../src/core/portmap/soap.ts";

const SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1";

/** As miniupnpd 2.3.1 answers. */
function envelope(inside: string): string {
  return `<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>${inside}</s:Body></s:Envelope>\r\n`;
}

function fault(code: string, description: string): string {
  return envelope(
    `<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>${code}</errorCode><errorDescription>${description}</errorDescription></UPnPError></detail></s:Fault>`,
  );
}

const ADDRESS = envelope(
  `<u:GetExternalIPAddressResponse xmlns:u="${SERVICE}"><NewExternalIPAddress>203.0.113.7</NewExternalIPAddress></u:GetExternalIPAddressResponse>`,
);

test("a call names its service and holds its arguments in their order", () => {
  expect(
    encodeCall(SERVICE, "DeletePortMapping", { NewRemoteHost: "", NewExternalPort: 7000, NewProtocol: "<&>" }),
  ).toEqual({
    headers: {
      "Content-Type": 'text/xml; charset="utf-8"',
      SOAPAction: '"urn:schemas-upnp-org:service:WANIPConnection:1#DeletePortMapping"',
    },
    body: `<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body><u:DeletePortMapping xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:1"><NewRemoteHost></NewRemoteHost><NewExternalPort>7000</NewExternalPort><NewProtocol>&lt;&amp;&gt;</NewProtocol></u:DeletePortMapping></s:Body></s:Envelope>
`,
  });
});

describe("an answer", () => {
  const decode = (status: number, body: string) => decodeAnswer("GetExternalIPAddress", status, body);

  test("tells its values", () => {
    expect(decode(200, ADDRESS)).toEqual({ ok: true, values: new Map([["NewExternalIPAddress", "203.0.113.7"]]) });
  });

  test("may tell nothing", () => {
    const body = envelope(`<m:AddPortMappingResponse xmlns:m="${SERVICE}"/>`);
    expect(decodeAnswer("AddPortMapping", 200, body)).toEqual({ ok: true, values: new Map() });
  });

  test.each([500, 200, 404])("is a fault with status %d, too", (status) => {
    const expected = { ok: false as const, kind: "fault" as const, code: 718, description: "ConflictInMappingEntry" };
    expect(decode(status, fault("718", "ConflictInMappingEntry"))).toEqual(expected);
  });

  test("has a description that fits a terminal", () => {
    expect(decode(500, fault("501", `\u001b[31m${"é".repeat(9)}\n${"a".repeat(999)}`))).toMatchObject({
      code: 501,
      description: ` [31m ${"a".repeat(74)}`,
    });
  });

  test.each([
    [500, ""],
    [401, "<html>Unauthorized</html>"],
    [302, ""],
    [500, ADDRESS],
    [500, fault("many", "")],
    [500, fault("-1", "")],
    [500, fault("1e99", "")],
  ])("with status %d and %j is none", (status, body) => {
    expect(decode(status, body)).toEqual({ ok: false, kind: "http-status", status });
  });

  test.each([
    ["to another call", ADDRESS.replaceAll("GetExternalIPAddress", "GetStatusInfo")],
    ["that is a page", "<html><body>Welcome</body></html>"],
    ["without a word", ""],
    ["cut off", ADDRESS.slice(0, -40)],
  ])("%s is none", (_, body) => expect(decode(200, body)).toEqual({ ok: false, kind: "bad-answer" }));
});
