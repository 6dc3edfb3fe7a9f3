/** What a comparison of headers shows: lines in groups, and what of each value differs. */
import { inWords } from "./fields";

export interface Compared {
  path: string; depth: number; tag: string; privateCreator?: string | null; name: string;
  outcome: "EQUAL" | "DIFFERENT" | "MISSING"; values: (string | null | undefined)[]; elements: ({ vr: string } | null | undefined)[];
}
export interface ComparedGroup { key: string; title: string; isPerFrame: boolean; rows: Compared[]; hidden: number }

const NOISE = new Set(["UI", "TM", "DT"]);
/** Whether it is a UID or a time, which differ between any two images. */
export function isNoise(row: Compared): boolean {
  return row.elements.some((element) => element && NOISE.has(element.vr));
}

/** Whether it is a sequence that differs by what is inside, which has lines of its own. */
export function isHolder(row: Compared): boolean {
  return row.outcome === "DIFFERENT" && vrOf(row) === "SQ" && new Set(row.values).size === 1;
}

export function vrOf(row: Compared): string {
  return [...new Set(row.elements.map((element) => element?.vr).filter(Boolean))].join(" ");
}

/** `SharedFunctionalGroupsSequence[0].MRTimingAndRelatedParametersSequence[0]` as `Shared / MR Timing And Related Parameters`. */
function placeOf(parents: string): string {
  if (!parents) return "Top level";
  return parents.split(".").map((part) => {
    const [, name = part, index = "0"] = /^(.*)\[(\d+)\]$/.exec(part) ?? [];
    if (name === "PerFrameFunctionalGroupsSequence") return `Frame ${String(Number(index) + 1)}`;
    const words = name.startsWith("(") ? name : inWords(name.replace(/(FunctionalGroups)?Sequence$/, ""));
    return index === "0" ? words : `${words} [${index}]`;
  }).join(" / ");
}

/** The rows below the same items and of the same creator, together; those of the top level first. */
export function groupsOf(rows: readonly Compared[], options: { withNoise: boolean; text: string }): ComparedGroup[] {
  const wanted = options.text.trim().toLowerCase();
  const groups = new Map<string, ComparedGroup>();
  for (const row of rows) {
    if (wanted && !`${row.name} ${row.tag} ${row.path} ${row.privateCreator ?? ""} ${row.values.join(" ")}`.toLowerCase().includes(wanted)) continue;
    const parents = row.path.includes(".") ? row.path.slice(0, row.path.lastIndexOf(".")) : "";
    const creator = row.privateCreator ?? "";
    const key = `${parents}|${creator}`;
    const group = groups.get(key) ?? { key, title: [...(parents || !creator ? [placeOf(parents)] : []), ...(creator ? [`Private, ${creator}`] : [])].join(" / "), isPerFrame: parents.startsWith("PerFrame"), rows: [], hidden: 0 };
    if (row.outcome !== "EQUAL" && !options.withNoise && isNoise(row)) group.hidden += 1;
    else group.rows.push(row);
    groups.set(key, group);
  }
  const rank = (group: ComparedGroup) => (group.isPerFrame ? 2 : group.key.startsWith("|") ? 0 : 1);
  return [...groups.values()].sort((a, b) => rank(a) - rank(b));
}

export interface Part { text: string; differs: boolean }
/** A value in parts, those that differ from another one marked: of several values each, of a text what is between its common ends. */
export function partsOf(value: string, other: string | null | undefined): Part[] {
  if (other === null || other === undefined) return [{ text: value, differs: true }];
  if (value === other) return [{ text: value, differs: false }];
  if (value.includes("\\") || other.includes("\\")) {
    const others = other.split("\\");
    return value.split("\\").flatMap((each, i) => [...(i ? [{ text: "\\", differs: false }] : []), { text: each, differs: each !== others[i] }]);
  }
  if (isNumber(value) || isNumber(other)) return [{ text: value, differs: true }];
  let start = 0;
  while (start < value.length && start < other.length && value[start] === other[start]) start += 1;
  let end = 0;
  while (end < Math.min(value.length, other.length) - start && value.at(-1 - end) === other.at(-1 - end)) end += 1;
  const parts = [{ text: value.slice(0, start), differs: false }, { text: value.slice(start, value.length - end), differs: true }, { text: value.slice(value.length - end), differs: false }];
  return parts.filter((part) => part.text);
}

const isNumber = (text: string) => text.trim() !== "" && Number.isFinite(Number(text));

/** From one number to another: in percent, or where that says nothing as a difference. */
export function changeOf(from: string | null | undefined, to: string | null | undefined): string {
  if (!from || !to || !isNumber(from) || !isNumber(to) || from === to) return "";
  const [a, b] = [Number(from), Number(to)];
  const sign = b > a ? "+" : "−";
  const percent = a === 0 ? 0 : Math.abs((b - a) / a) * 100;
  if (percent >= 0.5 && percent < 1000) return `${sign}${String(Math.round(percent))} %`;
  return `${sign}${String(Number(Math.abs(b - a).toPrecision(3)))}`;
}
