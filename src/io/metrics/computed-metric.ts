import type { Metric } from "prom-client";

/** One line of a family. `suffix` is for histograms: `_bucket`, `_sum`, `_count`. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly suffix?: string;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** Called at each scrape. */
  samples(): readonly Sample[];
}

/**
 * A prom-client metric whose samples are computed when they are asked for. The hot path adds to plain numbers and
 * never sees prom-client; a series that is no longer computed is gone from the next scrape.
 */
export function computedMetric(family: Family): Metric<string> {
  const { name, help, type } = family;
  const metric = {
    name,
    help,
    type,
    async get() {
      return { name, help, type, aggregator: "sum", values: family.samples().map(promValue) };
    },
    reset() {},
  };
  // prom-client's own classes hold their values; its registry asks for no more than what stands above.
  return metric as unknown as Metric<string>;

  function promValue(sample: Sample) {
    return { labels: sample.labels, value: sample.value, metricName: name + (sample.suffix ?? "") };
  }
}
