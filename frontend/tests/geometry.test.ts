import { describe, expect, it } from "vitest";
import { bytesInWords, bytesOf, directions, slicesInWords } from "../src/lib/geometry";

const warnings: string[] = [];
const turned = (degrees: number) => {
  const c = Math.cos((degrees * Math.PI) / 180), s = Math.sin((degrees * Math.PI) / 180);
  // Columns to the left, rows to the back and up; slices along the normal.
  return [[-3, 0, 0, 0], [0, -3 * c, 3.3 * s, 0], [0, 3 * s, 3.3 * c, 0], [0, 0, 0, 1]];
};

describe("slices in words", () => {
  it("names the plane", () => {
    expect(slicesInWords({ shape: [64, 64, 35], affine: turned(0), warnings })).toBe("35, axial");
    expect(slicesInWords({ shape: [64, 64, 1200], affine: [[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0]], warnings })).toBe("1,200, sagittal");
  });
  it("tells the tilt and to where", () => {
    expect(slicesInWords({ shape: [64, 64, 35], affine: turned(13), warnings })).toBe("35, axial, tilted 13° to the front");
    expect(slicesInWords({ shape: [64, 64, 35], affine: turned(-20), warnings })).toBe("35, axial, tilted 20° to the back");
  });
});

it("knows sizes", () => {
  expect(bytesInWords(bytesOf([80, 80, 35, 156], "uint16"))).toBe("70 MB");
  expect(directions("LPS")).toBe("left, back, head");
});
