import { expect, test } from "vitest";
import { changeOf, groupsOf, partsOf, type Compared } from "../src/lib/compared";

const row = (path: string, vr = "LO", more: Partial<Compared> = {}): Compared => ({
  path, depth: path.split(".").length - 1, tag: "(0008,103E)", name: path, outcome: "DIFFERENT", values: ["a", "b"], elements: [{ vr }, { vr }], ...more,
});
const marked = (value: string, other: string | null) => partsOf(value, other).map((part) => (part.differs ? `[${part.text}]` : part.text)).join("");

test("what differs of a value is marked", () => {
  expect(marked("bold_sms1", "bold_sms5")).toBe("bold_sms[1]");
  expect(marked("p3", "p3 s5")).toBe("p3");
  expect(marked("p3 s5", "p3")).toBe("p3[ s5]");
  expect(marked("10\\1.2\\-1", "10\\0.8\\-1")).toBe("10\\[1.2]\\-1");
  expect(marked("1458", "1459")).toBe("[1458]");
  expect(marked("there", null)).toBe("[there]");
});

test("rows lie where they are in the header; UIDs and times are counted", () => {
  const groups = groupsOf([
    row("PerFrameFunctionalGroupsSequence[2].FrameContentSequence[0].FrameComments"),
    row("SharedFunctionalGroupsSequence[0].MRTimingAndRelatedParametersSequence[0].GradientOutput", "FD"),
    row("(0021,xx09)", "LO", { privateCreator: "ACME" }), row("SOPInstanceUID", "UI"), row("SeriesDescription"),
  ], { withNoise: false, text: "" });
  expect(groups.map((group) => [group.title, group.rows.length, group.hidden])).toEqual([
    ["Private, ACME", 1, 0], ["Top level", 1, 1], ["Shared / MR Timing And Related Parameters", 1, 0], ["Frame 3 / Frame Content", 1, 0],
  ]);
  expect(groupsOf([row("SeriesDescription"), row("Rows", "US")], { withNoise: true, text: "rows" }).flatMap((group) => group.rows)).toHaveLength(1);
});

test("a change is in percent where that says something", () => {
  expect(changeOf("1458", "2249")).toBe("+54 %");
  expect(changeOf("297.177465", "297.177464")).toBe("−0.000001");
  expect(changeOf("0", "3")).toBe("+3");
  expect(changeOf("a", "3")).toBe("");
});
