import { describe, expect, it } from "vitest";
import { barsOf, cutOf, niceStep } from "../src/lib/bins";

const group = (value: unknown, count: number, to?: unknown) => ({ keys: [{ value, to }], count });

describe("how a key is cut", () => {
  it("leaves few values as they are", () => {
    expect(cutOf(3, 1, 900)).toEqual({});
  });
  it("takes round steps", () => {
    expect(niceStep(130)).toBe(10);
    expect(niceStep(0.7)).toBe(0.05);
    expect(cutOf(60, 2, 130)).toEqual({ width: 10 });
  });
  it("takes years of long times, months and days of short ones", () => {
    expect(cutOf(60, "2010-01-01", "2020-01-01")).toEqual({ part: "YEAR" });
    expect(cutOf(60, "2019-01-01", "2020-01-01")).toEqual({ part: "MONTH" });
    expect(cutOf(20, "2019-01-01", "2019-01-21")).toEqual({ part: "DAY" });
  });
});

describe("bars", () => {
  it("are in the order of numbers, with empty steps and what is missing last", () => {
    const found = barsOf([group(30, 5, 40), group(null, 1), group(0, 2, 10)], "series.echoTime", { width: 10 });
    expect(found.map((bar) => [bar.label, bar.count])).toEqual([["0", 2], ["10", 0], ["20", 0], ["30", 5], ["none", 1]]);
    expect(found[3]?.filters).toEqual(["series.echoTime>=30", "series.echoTime<40"]);
    expect(found[4]?.filters).toEqual(["series.echoTime="]);
  });
  it("of months end with the month", () => {
    const [bar] = barsOf([group("2019-12-01", 4)], "study.date", { part: "MONTH" });
    expect(bar).toEqual({ label: "2019-12", count: 4, filters: ["study.date>=2019-12-01", "study.date<2020-01-01"] });
  });
  it("of texts are the most frequent first, summed over other keys", () => {
    const found = barsOf([{ keys: [{ value: "CT" }, { value: 1 }], count: 2 }, { keys: [{ value: "MR" }, { value: 1 }], count: 3 }, { keys: [{ value: "CT" }, { value: 2 }], count: 4 }], "series.modality", {});
    expect(found.map((bar) => [bar.label, bar.count])).toEqual([["CT", 6], ["MR", 3]]);
  });
});
