/** The state of a page in its address: plain names and values, a list as one name given often. */
export interface TableSearch {
  /** Filters; see filters.ts. */
  f?: string[];
  /** Words to search for. */
  q?: string;
  /** Columns, separated by commas. */
  c?: string;
  /** What to sort by; with - downwards. */
  s?: string;
  /** The panel that is open. */
  panel?: string;
  /** Of pages about one thing: what is shown of it. */
  [key: string]: unknown;
}

const LISTS = new Set(["f", "uid", "pick"]);

export function parseSearch(text: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const list = found[name];
    if (LISTS.has(name)) found[name] = Array.isArray(list) ? [...(list as string[]), value] : [value];
    else found[name] = value;
  }
  return found;
}

export function stringifySearch(search: Record<string, unknown>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(search)) {
    if (Array.isArray(value)) for (const each of value) parameters.append(name, String(each));
    else if (value !== undefined && value !== null && value !== "") parameters.append(name, String(value));
  }
  const text = parameters.toString();
  return text && `?${text}`;
}

export function textOf(search: TableSearch, name: string): string {
  const value = search[name];
  return typeof value === "string" ? value : "";
}
