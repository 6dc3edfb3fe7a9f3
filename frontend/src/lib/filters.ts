/**
 * Filters as the address has them and as people type them: `series.modality=MR`,
 * `element.EchoTime<=40`, `!study.date>=2020-01-01`; alternatives are separated by ` | `.
 */
import { fieldOf, titleOf, type Entity } from "./fields";

export type Level = Entity | "every" | "header" | "element" | "csa";
export type Operator = "=" | "!=" | ">=" | "<=" | ">" | "<" | "~" | "^=" | "?";
export interface Condition {
  not: boolean;
  level: Level;
  /** The name of a field; of an element its keyword, its tag, or creator:tag. */
  name: string;
  operator: Operator;
  value: string;
}
/** Alternatives, one of which must hold. */
export type Filter = Condition[];

const LEVELS = new Set(["patient", "study", "series", "image", "every", "header", "element", "csa"]);
const PATTERN = /^(!?)([a-z]+)\.([^=!<>~^?]+?)\s*(!=|>=|<=|\^=|=|>|<|~|\?)\s*([\s\S]*)$/;

export const OPERATOR_WORDS: Record<Operator, string> = {
  "=": "is", "!=": "is not", ">=": "≥", "<=": "≤", ">": ">", "<": "<", "~": "contains", "^=": "begins with", "?": "is there",
};
export const LEVEL_WORDS: Record<Level, string> = {
  patient: "patient", study: "study", series: "series", image: "any image", every: "every image",
  header: "any image, top level", element: "any image, any depth", csa: "CSA",
};

/** The condition that a text says, for a page of `entity`; null where it says none. */
export function parseCondition(text: string, entity: Entity): Condition | null {
  const trimmed = text.trim();
  const match = PATTERN.exec(trimmed) ?? PATTERN.exec(trimmed.replace(/^(!?)/, `$1${entity}.`));
  if (!match) return null;
  const [, not, level = "", name = "", operator = "=", value = ""] = match;
  if (!LEVELS.has(level)) return null;
  const known = isEntity(level) || level === "every" ? fieldOf(level === "every" ? "image" : level, name) : undefined;
  const asElement = !known && (isEntity(level) || level === "every");
  return {
    not: not === "!",
    level: asElement ? "element" : (level as Level),
    name: known?.name ?? name,
    operator: operator as Operator,
    value: value.trim(),
  };
}

/** Whether a condition says what is compared with what; an empty value compares with nothing. */
export function isComplete({ name, operator, value }: Condition): boolean {
  return name !== "" && (operator === "?" || value !== "");
}

export function formatCondition(condition: Condition): string {
  return `${condition.not ? "!" : ""}${condition.level}.${condition.name}${condition.operator}${condition.value}`;
}

export function parseFilter(text: string, entity: Entity): Filter {
  return text
    .split(/(?<!\\) \| /)
    .map((part) => parseCondition(part.replaceAll("\\ | ", " | "), entity))
    .filter((condition) => condition !== null);
}

export function formatFilter(filter: Filter): string {
  return filter.map((condition) => formatCondition(condition).replaceAll(" | ", "\\ | ")).join(" | ");
}

function isEntity(level: string): level is Entity {
  return level === "patient" || level === "study" || level === "series" || level === "image";
}

/** What a chip calls the thing that is filtered. */
export function nameOf(condition: Condition): string {
  if (!isEntity(condition.level) && condition.level !== "every") return condition.name;
  const field = fieldOf(condition.level === "every" ? "image" : condition.level, condition.name);
  return field ? titleOf(field) : condition.name;
}

type Json = Record<string, unknown>;
const COMPARISONS: Partial<Record<Operator, string>> = { "=": "eq", "!=": "ne", ">=": "gte", "<=": "lte", ">": "gt", "<": "lt" };
const TEXTS: Partial<Record<Operator, string>> = { "=": "eq", "!=": "ne", "~": "icontains", "^=": "istartsWith" };

function scalar(type: string, operator: Operator, value: string): unknown {
  if (operator === "?") return { isNull: false };
  if (value === "" && (operator === "=" || operator === "!=")) return { isNull: operator === "=" };
  switch (type) {
    case "Boolean":
      return (value === "true") === (operator === "=");
    case "IntFilter":
    case "FloatFilter":
      return { [COMPARISONS[operator] ?? "eq"]: Number(value) };
    case "FloatListFilter":
      return { any: { [COMPARISONS[operator] ?? "eq"]: Number(value) } };
    case "StringListFilter":
      return { containsAny: value.split("\\") };
    case "SequenceTypeFilter":
      return { eq: value };
    case "DateTimeFilter":
      return operator !== "!=" && /^\d{4}-\d{2}-\d{2}$/.test(value) ? ofDay(operator, value) : { [COMPARISONS[operator] ?? "eq"]: value };
    case "DateFilter":
    case "TimeFilter":
      return { [COMPARISONS[operator] ?? "eq"]: value };
    default:
      return { [TEXTS[operator] ?? "eq"]: value };
  }
}

/** A comparison of moments (UTC) with a day, which is all of it. */
function ofDay(operator: Operator, day: string): Json {
  const [start, end] = [`${day}T00:00:00Z`, `${day}T23:59:59.999999Z`];
  switch (operator) {
    case ">=": return { gte: start };
    case ">": return { gt: end };
    case "<": return { lt: start };
    case "<=": return { lte: end };
    default: return { gte: start, lte: end };
  }
}

/** The element that a name stands for: a keyword, a path, `(gggg,eeee)`, or `creator:(gggg,ee)`. */
export function elementOf(name: string): Json {
  const tag = /^(?:(.+):)?\(?([0-9A-Fa-fx]{4}),?([0-9A-Fa-fx]{4})\)?$/.exec(name);
  if (tag) return { tag: `(${tag[2] ?? ""},${tag[3] ?? ""})`, ...(tag[1] ? { privateCreator: tag[1] } : {}) };
  return /[.[]/.test(name) ? { path: name } : { keyword: name };
}

function header(condition: Condition): Json {
  const { operator, value, name } = condition;
  const base = condition.level === "csa" ? { path: name } : { ...elementOf(name), ...(condition.level === "element" && !/[.[]/.test(name) ? { anywhere: true } : {}) };
  const wrap = (rest: Json): Json => (condition.level === "csa" ? { csa: [{ ...base, ...rest }] } : { element: { ...base, ...rest } });
  if (operator === "?" || (value === "" && operator === "!=")) return wrap({ exists: true });
  if (value === "" && operator === "=") return wrap({ exists: false });
  const number = value.trim() !== "" && Number.isFinite(Number(value)) ? Number(value) : null;
  const comparison = COMPARISONS[operator];
  const date = /^\d{4}-\d{2}-\d{2}$/.test(value);
  if (date && comparison && operator !== "=" && operator !== "!=") return wrap({ date: { [comparison]: value } });
  if (operator !== "=" && operator !== "!=" && comparison) return wrap({ number: { [comparison]: number ?? 0 } });
  const text = wrap({ text: { [TEXTS[operator] ?? "eq"]: value } });
  if (number === null || !comparison) return text;
  return { or: [text, wrap({ number: { [comparison]: number } })] };
}

function imageCondition(condition: Condition): Json {
  if (isEntity(condition.level) || condition.level === "every") {
    const field = fieldOf("image", condition.name);
    return { [condition.name]: scalar(field?.filter ?? "StringFilter", condition.operator, condition.value) };
  }
  return { header: header(condition) };
}

function conditionOf(condition: Condition, entity: Entity): Json {
  const { level } = condition;
  if (level === "every") return entity === "image" ? imageCondition(condition) : { everyImage: imageCondition(condition) };
  if (level === "image" || !isEntity(level)) {
    const inner = imageCondition(condition);
    return entity === "image" ? inner : { anyImage: inner };
  }
  const field = fieldOf(level, condition.name);
  const own = { [condition.name]: scalar(field?.filter ?? "StringFilter", condition.operator, condition.value) };
  return reach(entity, level, own);
}

/** A condition on `level` as one on `entity`. */
function reach(entity: Entity, level: "patient" | "study" | "series", own: Json): Json {
  if (entity === level) return own;
  if (entity === "image") return { series: reach("series", level, own) };
  if (entity === "series") return { [level]: own };
  if (entity === "study") return level === "patient" ? { patients: { some: own } } : { series: { some: own } };
  return level === "study" ? { studies: { some: own } } : { series: { some: own } };
}

/** The `filter` argument for a list of `entity`; undefined where nothing is filtered. */
export function toGraphQL(filters: readonly Filter[], entity: Entity): Json | undefined {
  const parts = filters.filter((filter) => filter.length > 0).map((filter) => {
    const each = filter.map((condition) => {
      const made = conditionOf(condition, entity);
      return condition.not ? { not: made } : made;
    });
    return each.length === 1 ? (each[0] ?? {}) : { or: each };
  });
  if (parts.length === 0) return undefined;
  return parts.length === 1 ? parts[0] : { and: parts };
}
