/** Datagrams of the flows by the path that they took; what went both ways counts in each. */
export interface PathCounts {
  readonly sentRelay: number;
  readonly sentDirect: number;
  readonly receivedRelay: number;
  readonly receivedDirect: number;
}

/** Of all pipes together. They only grow: a pipe that is gone counts on. */
export class PathTotals implements PathCounts {
  sentRelay = 0;
  sentDirect = 0;
  receivedRelay = 0;
  receivedDirect = 0;

  add({ sentRelay, sentDirect, receivedRelay, receivedDirect }: PathCounts): void {
    this.sentRelay += sentRelay;
    this.sentDirect += sentDirect;
    this.receivedRelay += receivedRelay;
    this.receivedDirect += receivedDirect;
  }
}
