/** Why files of an import were not taken, in kinds. */
export interface Told { path: string; text: string }
export interface Reason { title: string; help: string; canRetry: boolean; files: Told[] }

const KINDS: readonly { pattern: RegExp; title: string; help: string; canRetry: boolean }[] = [
  { pattern: /ends (at|after|in|inside)|truncat|cut short|unexpected end/i, title: "Cut short", help: "copy them again, then retry", canRetry: true },
  { pattern: /no identity|no SOPInstanceUID|SOPInstanceUID.*(missing|empty)/i, title: "No identity", help: "reading again will not help", canRetry: false },
  { pattern: /permission|not permitted|denied/i, title: "May not be read", help: "let the server read them, then retry", canRetry: true },
  { pattern: /no such file|gone|vanished|does not exist/i, title: "Gone", help: "bring them back, then retry", canRetry: true },
];

/** The kind of a message that no known kind is of: what it says, without what is this file's alone. */
function said(text: string): string {
  return text.replace(/\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)[^:;]*/g, "an element").replace(/\d+/g, "N").split(/[:;]/)[0]?.trim() ?? "";
}

/** Files together whose reason is the same, the most frequent first; those first where a retry can help. */
export function reasonsOf(files: readonly Told[]): Reason[] {
  const found = new Map<string, Reason>();
  for (const file of files) {
    const kind = KINDS.find(({ pattern }) => pattern.test(file.text));
    const title = kind?.title ?? said(file.text);
    const reason = found.get(title) ?? { title, help: kind?.help ?? "", canRetry: kind?.canRetry ?? true, files: [] };
    reason.files.push(file);
    found.set(title, reason);
  }
  return [...found.values()].sort((a, b) => Number(b.canRetry) - Number(a.canRetry) || b.files.length - a.files.length);
}
