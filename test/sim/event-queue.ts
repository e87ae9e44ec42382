/** Something that happens at its time. */
export interface Due {
  fire(): void;
}

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly due: Due;
}

/** What is to happen, earliest first; what was put in for the same time happens in the order of putting in. */
export class EventQueue {
  /** A binary heap: the entries below index i stand at 2i + 1 and 2i + 2. */
  readonly #heap: Entry[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** When the next thing happens; infinity when nothing does. */
  get nextAt(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  push(at: number, due: Due): void {
    const heap = this.#heap;
    const entry: Entry = { at, order: this.#order++, due };
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const above = (index - 1) >> 1;
      // Invariant: 0 <= above < index < length.
      const parent = heap[above]!;
      if (!isEarlier(entry, parent)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = entry;
  }

  pop(): Due | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first?.due;
    let index = 0;
    for (let below = 1; below < heap.length; below = 2 * index + 1) {
      const right = heap[below + 1];
      // Invariant: below < length.
      if (right !== undefined && isEarlier(right, heap[below]!)) below += 1;
      const child = heap[below]!;
      if (!isEarlier(child, last)) break;
      heap[index] = child;
      index = below;
    }
    heap[index] = last;
    return first.due;
  }
}

function isEarlier(one: Entry, other: Entry): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
