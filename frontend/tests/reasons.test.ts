import { expect, test } from "vitest";
import { reasonsOf } from "../src/lib/reasons";

test("failures of one kind stand together, those that a retry can mend first", () => {
  const reasons = reasonsOf([
    { path: "a", text: "No SOPInstanceUID (0008,0018): the image has no identity." },
    { path: "b", text: "the file ends at byte 700, inside (0012,0062) PatientIdentityRemoved, whose value needs 4 bytes" },
    { path: "c", text: "the file ends at byte 1500, inside an element's header" },
    { path: "d", text: "not a DICOM file: it has no DICM prefix at byte 128" },
    { path: "e", text: "not a DICOM file: it is a text" },
  ]);
  expect(reasons.map((reason) => [reason.title, reason.files.length, reason.canRetry])).toEqual([
    ["Cut short", 2, true], ["not a DICOM file", 2, true], ["No identity", 1, false],
  ]);
});
