/** Groups of the API as bars: numbers in steps, dates by year, month or day, others as they are. */
export interface Bar { label: string; count: number; filters: string[] }
export type Part = "YEAR" | "MONTH" | "DAY";
/** How a key is cut into groups. */
export interface Cut { width?: number; part?: Part }
export interface KeyValue { value?: unknown; to?: unknown }
export interface Group { keys: readonly KeyValue[]; count: number }

const MOST = 14;
const DAY_MS = 86_400_000;
const tidy = (n: number) => Number(n.toPrecision(10));

/** A step of 1, 2 or 5 and zeros that cuts a span into at most `n`. */
export function niceStep(span: number, n = MOST): number {
  const rough = span / n, power = 10 ** Math.floor(Math.log10(rough));
  return tidy([1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.9999) ?? power * 10);
}

const isDate = (value: unknown): value is string => typeof value === "string" && /^\d{4}-\d{2}-\d{2}/.test(value);

/** How to cut a key of which there are `total` values from `least` to `greatest`; not at all where they are few. */
export function cutOf(total: number, least: unknown, greatest: unknown): Cut {
  if (total <= MOST) return {};
  if (typeof least === "number" && typeof greatest === "number" && greatest > least) return { width: niceStep(greatest - least) };
  if (isDate(least) && isDate(greatest)) {
    const days = (Date.parse(greatest.slice(0, 10)) - Date.parse(least.slice(0, 10))) / DAY_MS;
    return { part: days > 1000 ? "YEAR" : days > 31 ? "MONTH" : "DAY" };
  }
  return {};
}

function dayAfter(date: string, part: Part): string {
  const start = new Date(`${date.slice(0, 10)}T00:00:00Z`);
  if (part === "YEAR") start.setUTCFullYear(start.getUTCFullYear() + 1);
  else if (part === "MONTH") start.setUTCMonth(start.getUTCMonth() + 1);
  else start.setUTCDate(start.getUTCDate() + 1);
  return start.toISOString().slice(0, 10);
}
const LENGTH: Record<Part, number> = { YEAR: 4, MONTH: 7, DAY: 10 };

/** One group of a key that filters call `name`. */
export function barOf(name: string, { value, to }: KeyValue, cut: Cut, count: number): Bar {
  if (value === null || value === undefined) return { label: "none", count, filters: [`${name}=`] };
  if (typeof value === "number" && typeof to === "number") {
    return { label: String(tidy(value)), count, filters: [`${name}>=${String(tidy(value))}`, `${name}<${String(tidy(to))}`] };
  }
  if (cut.part && isDate(value)) {
    return { label: value.slice(0, LENGTH[cut.part]), count, filters: [`${name}>=${value.slice(0, 10)}`, `${name}<${dayAfter(value, cut.part)}`] };
  }
  const text = Array.isArray(value) ? value.join("\\") : typeof value === "number" ? String(tidy(value)) : String(value);
  return { label: text, count, filters: [`${name}=${text}`] };
}

/** Whether the values of a key have an order of their own. */
export function isOrdered(groups: readonly Group[], place = 0): boolean {
  const values = groups.map((group) => group.keys[place]?.value).filter((value) => value !== null && value !== undefined);
  return values.length > 0 && (values.every((value) => typeof value === "number") || values.every(isDate));
}

/**
 * The bars of one key of the groups, summed over the others: by value where that has an order, with
 * the empty steps between; else the most frequent first. What has no value comes last.
 */
export function barsOf(groups: readonly Group[], name: string, cut: Cut, place = 0): Bar[] {
  const sums = new Map<string, { key: KeyValue; count: number }>();
  for (const group of groups) {
    const key = group.keys[place] ?? {};
    const text = JSON.stringify(key.value ?? null);
    sums.set(text, { key, count: (sums.get(text)?.count ?? 0) + group.count });
  }
  const all = [...sums.values()];
  const none = all.filter(({ key }) => key.value === null || key.value === undefined);
  const there = all.filter(({ key }) => key.value !== null && key.value !== undefined);
  if (isOrdered(groups, place)) {
    there.sort((a, b) => (typeof a.key.value === "number" ? a.key.value - (b.key.value as number) : String(a.key.value).localeCompare(String(b.key.value))));
    if (cut.width) fill(there, cut.width);
  } else there.sort((a, b) => b.count - a.count);
  return [...there, ...none].map(({ key, count }) => barOf(name, key, cut, count));
}

function fill(list: { key: KeyValue; count: number }[], width: number): void {
  for (let i = 1; i < list.length && list.length < 60; i++) {
    const before = list[i - 1]?.key.to, value = list[i]?.key.value;
    if (typeof before === "number" && typeof value === "number" && value - before > width / 2) list.splice(i, 0, { key: { value: tidy(before), to: tidy(before + width) }, count: 0 });
  }
}
