/** Bytes of a stream that wait until they make something whole. The reader bounds them: what is too much is refused. */
export class Intake {
  #bytes: Uint8Array = new Uint8Array(0);

  /** All that is there; a view, valid until the next `add`. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  add(chunk: Uint8Array): void {
    if (this.#bytes.length === 0) {
      this.#bytes = chunk;
      return;
    }
    const joined = new Uint8Array(this.#bytes.length + chunk.length);
    joined.set(this.#bytes);
    joined.set(chunk, this.#bytes.length);
    this.#bytes = joined;
  }

  drop(length: number): void {
    this.#bytes = this.#bytes.subarray(length);
  }
}
