import { describe, expect, it } from "vitest";
import { parseSearch, stringifySearch } from "../src/lib/address";
import { formatFilter, parseFilter, toGraphQL } from "../src/lib/filters";

const graphql = (text: string, entity: "patient" | "study" | "series" | "image" = "series") => toGraphQL([parseFilter(text, entity)], entity);

describe("a filter as it is typed", () => {
  it("reaches from each list to the level that it names", () => {
    expect(graphql("modality=MR")).toEqual({ modality: { eq: "MR" } });
    expect(graphql("series.modality=MR", "image")).toEqual({ series: { modality: { eq: "MR" } } });
    expect(graphql("series.modality=MR", "patient")).toEqual({ series: { some: { modality: { eq: "MR" } } } });
    expect(graphql("study.date>=2020-01-01", "image")).toEqual({ series: { study: { date: { gte: "2020-01-01" } } } });
    expect(graphql("image.rows=64")).toEqual({ anyImage: { rows: { eq: 64 } } });
    expect(graphql("every.rows=64", "study")).toEqual({ everyImage: { rows: { eq: 64 } } });
    expect(graphql("patient.sex=F", "study")).toEqual({ patients: { some: { sex: { eq: "F" } } } });
  });
  it("knows a field by its keyword, and takes any other for an element at any depth", () => {
    expect(graphql("EchoTime<=40")).toEqual({ echoTime: { lte: 40 } });
    expect(graphql("EffectiveEchoTime<=40")).toEqual({ anyImage: { header: { element: { keyword: "EffectiveEchoTime", anywhere: true, number: { lte: 40 } } } } });
    expect(graphql("element.SIEMENS MR SDS 01:(0021,xx09)=p3")).toEqual({
      anyImage: { header: { element: { tag: "(0021,xx09)", privateCreator: "SIEMENS MR SDS 01", anywhere: true, text: { eq: "p3" } } } },
    });
    expect(graphql("csa.B_value>0", "image")).toEqual({ header: { csa: [{ path: "B_value", number: { gt: 0 } }] } });
  });
  it("has alternatives, negations and missing values", () => {
    expect(graphql("modality=MR | !modality=CT | echoTime=")).toEqual({
      or: [{ modality: { eq: "MR" } }, { not: { modality: { eq: "CT" } } }, { echoTime: { isNull: true } }],
    });
    expect(graphql("hasWarnings=true")).toEqual({ hasWarnings: true });
  });
  it("takes a day for all of it, where moments are compared", () => {
    expect(graphql("created>=2026-11-21")).toEqual({ created: { gte: "2026-11-21T00:00:00Z" } });
    expect(graphql("created<=2026-11-21")).toEqual({ created: { lte: "2026-11-21T23:59:59.999999Z" } });
    expect(graphql("created>=2026-11-21T10:00:00Z")).toEqual({ created: { gte: "2026-11-21T10:00:00Z" } });
  });
  it("comes back from an address as it was", () => {
    for (const text of ["series.modality=MR", "!study.date>=2020-01-01 | element.EchoTime<=40", "series.description=a=b & c | image.rows=3", "patient.name~Müller^"]) {
      const filter = parseFilter(text, "series");
      expect(filter.length).toBeGreaterThan(0);
      const address = parseSearch(stringifySearch({ f: [formatFilter(filter)] }))["f"] as string[];
      expect(parseFilter(address[0] ?? "", "series")).toEqual(filter);
    }
  });
  it("says nothing where nothing can be read", () => {
    expect(parseFilter("", "series")).toEqual([]);
    expect(toGraphQL([], "series")).toBeUndefined();
  });
});
