import { describe, expect, it } from "vitest";
import { bars } from "../src/lib/bins";

describe("bars", () => {
  it("keep every count, and each has filters that say the same", () => {
    const values = Array.from({ length: 130 }, (_, i) => ({ value: i, count: 2 }));
    const made = bars([...values, { value: null, count: 5 }], "series.echoTime");
    expect(made.reduce((sum, bar) => sum + bar.count, 0)).toBe(265);
    expect(made[0]).toEqual({ label: "0", count: 20, filters: ["series.echoTime>=0", "series.echoTime<10"] });
    expect(made.at(-1)).toEqual({ label: "none", count: 5, filters: ["series.echoTime="] });
  });
  it("are few values as they are, and many days by year", () => {
    expect(bars([{ value: "MR", count: 3 }], "series.modality")).toEqual([{ label: "MR", count: 3, filters: ["series.modality=MR"] }]);
    const days = Array.from({ length: 20 }, (_, i) => ({ value: `20${String(10 + (i % 2))}-01-${String(i + 10)}`, count: 1 }));
    expect(bars(days, "study.date").map((bar) => [bar.label, bar.count])).toEqual([["2010", 10], ["2011", 10]]);
  });
});
