import { describe, expect, test } from "bun:test";
import { type Found, PROOF_MS, Proof } from "../../../../src/core/peer/proof.ts";
import type { DirectAddress } from "../../../../src/core/pipe/pipe.ts";
import { NEVER } from "../../../../src/core/time.ts";

const ICE: Found = { winner: "ice", address: { socket: 0, remote: { address: "198.51.100.2", port: 5_000 } } };
const HARD: Found = { winner: "hardnat", address: { socket: 20, remote: { address: "198.51.100.2", port: 6_000 } } };

describe("two addresses that work", () => {
  test("the initiator has them challenged one after the other", () => {
    const challenged: [number, DirectAddress][] = [];
    const proof = new Proof((now, address) => challenged.push([now, address]));
    proof.add(100, ICE);
    proof.add(200, HARD);
    expect(challenged).toEqual([[100, ICE.address]]);
    proof.handleTimeout(100 + PROOF_MS - 1);
    expect(challenged).toHaveLength(1);
    proof.handleTimeout(100 + PROOF_MS);
    expect(challenged).toEqual([
      [100, ICE.address],
      [100 + PROOF_MS, HARD.address],
    ]);
    expect(proof.isOpen).toBe(true);
    proof.handleTimeout(100 + 2 * PROOF_MS);
    expect([proof.isOpen, proof.hasAny, proof.nextTimeout()]).toEqual([false, true, NEVER]);
  });

  test("the responder waits for as long as that takes", () => {
    const proof = new Proof(undefined);
    proof.add(100, HARD);
    expect([proof.isOpen, proof.nextTimeout()]).toEqual([true, 100 + 2 * PROOF_MS]);
    proof.handleTimeout(100 + 2 * PROOF_MS);
    expect(proof.isOpen).toBe(false);
  });

  test("who found which is told by socket and address", () => {
    const proof = new Proof(undefined);
    proof.add(0, ICE);
    proof.add(0, HARD);
    expect([ICE, HARD].map(({ address }) => proof.whoFound(address))).toEqual(["ice", "hardnat"]);
    expect(proof.whoFound({ ...ICE.address, socket: 1 })).toBeUndefined();
  });
});
