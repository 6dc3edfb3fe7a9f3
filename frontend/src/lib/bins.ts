/** Values and how often they are, as bars: numbers in steps, dates by year or month, others as they are. */
export interface Bar { label: string; count: number; filters: string[] }
export interface Value { value?: unknown; count: number }

function step(span: number, n: number): number {
  const rough = span / n, power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough) ?? power * 10;
}

const tidy = (n: number) => Number(n.toPrecision(10));

/** The bars; `name` is what a filter calls the key. */
export function bars(values: readonly Value[], name: string, most = 14): Bar[] {
  const none = values.filter(({ value }) => value === null || value === undefined);
  const there = values.filter(({ value }) => value !== null && value !== undefined);
  const absent = none.map(({ count }) => ({ label: "none", count, filters: [`${name}=`] }));
  if (there.length > 0 && there.every(({ value }) => typeof value === "number")) {
    const numbers = there.map(({ value, count }) => ({ value: value as number, count })).sort((a, b) => a.value - b.value);
    const least = numbers[0]?.value ?? 0, greatest = numbers.at(-1)?.value ?? 0;
    if (numbers.length <= most) return [...numbers.map(({ value, count }) => ({ label: String(tidy(value)), count, filters: [`${name}=${String(value)}`] })), ...absent];
    const size = step(greatest - least, most), first = Math.floor(least / size) * size;
    const found: Bar[] = [];
    for (let from = first; from <= greatest; from = tidy(from + size)) {
      const to = tidy(from + size);
      const count = numbers.filter(({ value }) => value >= from && value < to).reduce((sum, each) => sum + each.count, 0);
      found.push({ label: String(tidy(from)), count, filters: [`${name}>=${String(tidy(from))}`, `${name}<${String(to)}`] });
    }
    return [...found, ...absent];
  }
  if (there.length > most && there.every(({ value }) => typeof value === "string" && /^\d{4}-\d{2}-\d{2}/.test(value))) {
    const years = new Map<string, number>();
    for (const { value, count } of there) years.set(String(value).slice(0, 4), (years.get(String(value).slice(0, 4)) ?? 0) + count);
    return [...[...years].sort().map(([year, count]) => ({ label: year, count, filters: [`${name}>=${year}-01-01`, `${name}<${String(Number(year) + 1)}-01-01`] })), ...absent];
  }
  return [...there.map(({ value, count }) => ({ label: Array.isArray(value) ? value.join("\\") : String(value), count, filters: [`${name}=${Array.isArray(value) ? value.join("\\") : String(value)}`] })), ...absent];
}
