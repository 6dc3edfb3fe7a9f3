import { expect, test } from "vitest";
import { reasonsOf } from "../src/lib/reasons";

test("failures of one kind stand together, those that a retry can mend first", () => {
  const reasons = reasonsOf([
    { path: "a", code: "NO_IDENTITY", text: "no SOPInstanceUID (0008,0018): the image has no identity" },
    { path: "b", code: "TRUNCATED", text: "the file ends at byte 700, inside (0012,0062) PatientIdentityRemoved, whose value needs 4 bytes" },
    { path: "c", code: "TRUNCATED", text: "the file ends at byte 1500, inside an element's header" },
    { path: "d", code: "CORRUPT", text: "(0008,1140) ReferencedImageSequence: no item begins at byte 812" },
    { path: "e", code: "CORRUPT", text: "(0008,1111) ReferencedPerformedProcedureStepSequence: no item begins at byte 90" },
    { path: "f", code: "CORRUPT", text: "the deflated data set exceeds 512 MiB" },
  ]);
  expect(reasons.map((reason) => [reason.title, reason.files.length, reason.canRetry])).toEqual([
    ["Cut short", 2, true], ["an element", 2, false], ["No identity", 1, false], ["the deflated data set exceeds N MiB", 1, false],
  ]);
});

test("skipped files stand together by what they are", () => {
  const reasons = reasonsOf([
    { path: "d", text: "not a DICOM file: it has no DICM prefix at byte 128" },
    { path: "e", text: "not a DICOM file: it is a text" },
  ]);
  expect(reasons.map((reason) => [reason.title, reason.files.length])).toEqual([["not a DICOM file", 2]]);
});
