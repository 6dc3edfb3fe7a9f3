import type { ImportFailureCode } from "../gql/graphql";

/** Why files of an import were not taken, in kinds; what was skipped has no code. */
export interface Told { path: string; text: string; code?: ImportFailureCode }
export interface Reason { title: string; help: string; canRetry: boolean; files: Told[] }
type Kind = Omit<Reason, "files">;

const NO_HELP = "reading again will not help";
/** Kinds without a title are told by what they say. */
const KINDS: Record<ImportFailureCode, Kind> = {
  TRUNCATED: { title: "Cut short", help: "copy them again, then retry", canRetry: true },
  CHANGED: { title: "Written to while they were read", help: "retry", canRetry: true },
  NOT_PERMITTED: { title: "May not be read", help: "let the server read them, then retry", canRetry: true },
  FILE_GONE: { title: "Not there", help: "bring them back, then retry", canRetry: true },
  BAD_PATH: { title: "Names that are too long, or not UTF-8", help: "rename them, then retry", canRetry: true },
  TOO_SLOW: { title: "No answer in time", help: "look at their disk, then retry", canRetry: true },
  CANNOT_READ: { title: "", help: "look at their disk, then retry", canRetry: true },
  CANNOT_STORE: { title: "", help: "they stay where they are; mend what it says, then retry", canRetry: true },
  NOT_REMOVED: { title: "Imported, but not removed where they were", help: "remove them by hand", canRetry: false },
  CRASHED: { title: "The reading of them broke down", help: "may help once", canRetry: true },
  CORRUPT: { title: "", help: NO_HELP, canRetry: false },
  NO_IDENTITY: { title: "No identity", help: NO_HELP, canRetry: false },
  NOT_A_FILE: { title: "No regular files", help: NO_HELP, canRetry: false },
  FORBIDDEN_PATH: { title: "Outside the import roots", help: "ask who runs the server", canRetry: false },
  CANNOT_HOLD: { title: "Values that the database refused", help: NO_HELP, canRetry: false },
  OTHER: { title: "", help: "", canRetry: true },
};

/** What a message says, without what is one file's alone. */
function said(text: string): string {
  return text.replace(/\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)[^:;]*/g, "an element").replace(/\d+/g, "N").split(/[:;]/)[0]?.trim() ?? "";
}

/** Files together whose reason is the same, the most frequent first; those first where a retry can help. */
export function reasonsOf(files: readonly Told[]): Reason[] {
  const found = new Map<string, Reason>();
  for (const file of files) {
    const kind = KINDS[file.code ?? "OTHER"];
    const title = kind.title || said(file.text);
    const key = `${file.code ?? ""} ${title}`;
    const reason = found.get(key) ?? { ...kind, title, files: [] };
    reason.files.push(file);
    found.set(key, reason);
  }
  return [...found.values()].sort((a, b) => Number(b.canRetry) - Number(a.canRetry) || b.files.length - a.files.length);
}
