import { fieldOf, fieldsOf, inWords, isNumeric, show, titleOf, type Entity } from "./fields";
import type { Row } from "./use-rows";

/** An element as the API takes it. */
export interface ElementKey { keyword?: string; path?: string; privateCreator?: string }
export interface Column {
  /** As in the address: the name of a field, or @ and a keyword, a path, or a tag with its creator. */
  key: string;
  /** What an element's column asks for. */
  element?: ElementKey;
  title: string;
  /** As it stands above the column. */
  short: string;
  unit: string | null;
  numeric: boolean;
  width: number;
  /** What to sort by; null where that cannot be. */
  order: Record<string, unknown> | null;
  /** How a filter names it. */
  filter: string | null;
  text: (row: Row) => string;
  /** The value as a filter takes it. */
  raw: (row: Row) => string;
}

export const DEFAULT_COLUMNS: Record<Entity, string> = {
  patient: "sex,dateOfBirth,nStudies,nSeries,nImages,latestStudyTime",
  study: "date,nSeries,nImages,created",
  series: "modality,date,manufacturerModelName,echoTime,repetitionTime,flipAngle,nImages",
  image: "number,date,rows,columns,numberOfFrames,sopClassUid",
};
const SHORT: Record<string, string> = { echoTime: "TE", repetitionTime: "TR", flipAngle: "FA", inversionTime: "TI", manufacturerModelName: "Scanner", magneticFieldStrength: "Field", date: "Date", time: "Time", sopClassUid: "SOP class", transferSyntaxUid: "Transfer syntax", numberOfFrames: "Frames", number: "Number" };
const WIDTHS: Record<string, number> = { manufacturerModelName: 150, description: 220, sopClassUid: 230, uid: 260, created: 140, modified: 140, latestStudyTime: 140, protocolName: 180, modality: 84 };

export function columnOf(entity: Entity, key: string): Column | null {
  if (key.startsWith("@")) return elementColumn(entity, key.slice(1));
  const field = fieldOf(entity, key);
  if (!field) return null;
  const value = (row: Row) => row[field.name];
  return {
    key: field.name,
    title: titleOf(field),
    short: SHORT[field.name] ?? titleOf(field),
    unit: field.unit,
    numeric: isNumeric(field),
    width: WIDTHS[field.name] ?? (isNumeric(field) ? Math.max(76, 22 + (SHORT[field.name] ?? titleOf(field)).length * 7.2 + (field.unit ? 20 : 0)) : 120),
    order: field.order ? { field: field.order } : null,
    filter: field.filter ? `${entity}.${field.name}` : null,
    text: (row) => show(value(row), field.type),
    raw: (row) => (value(row) === null || value(row) === undefined ? "" : Array.isArray(value(row)) ? String((value(row) as unknown[]).join("\\")) : String(value(row))),
  };
}

interface Cell { value?: unknown; vr: string; vm: number; warnings: string[] }

/** The element that the name in a key stands for: a keyword, a path, `creator:ggggxxee`. */
export function elementKey(name: string): ElementKey {
  const tag = /^(?:(.+):)?\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-fx]{4})\)?$/.exec(name);
  if (tag) return { path: `(${tag[2] ?? ""},${tag[3] ?? ""})`, ...(tag[1] ? { privateCreator: tag[1] } : {}) };
  return /[.[]/.test(name) ? { path: name } : { keyword: name };
}

/** How addresses name an element: its keyword, or its creator and its tag without brackets and comma. */
export function elementName(of: { keyword?: string | null; tag: string; privateCreator?: string | null }): string {
  if (of.keyword) return of.keyword;
  const tag = of.tag.replace(/[(),]/g, "");
  return of.privateCreator ? `${of.privateCreator}:${tag}` : tag;
}

function elementColumn(entity: Entity, name: string): Column | null {
  if (entity !== "series" && entity !== "image") return null;
  const element = elementKey(name);
  const cell = (row: Row): Cell | null => {
    const header = (row["sampleHeader"] ?? row["header"]) as { elementsAt: (Cell | null)[] } | null | undefined;
    const place = (row["keys"] as string[] | undefined)?.indexOf(name) ?? -1;
    return header?.elementsAt[place] ?? null;
  };
  const last = name.split(".").at(-1) ?? name;
  const title = /^[A-Za-z]+$/.test(last) ? inWords(last) : last;
  return {
    key: `@${name}`, element, title: last === name ? title : `${title} ↳`, short: last === name ? title : `↳ ${title}`, unit: null, numeric: false,
    width: Math.max(90, Math.min(220, 40 + title.length * 7.5)),
    order: { element: name.includes(":") && element.path ? { tag: element.path, privateCreator: element.privateCreator } : element },
    filter: `header.${name}`,
    text: (row) => { const found = cell(row); return !found ? "" : found.vr === "SQ" ? `${String(found.vm)} items` : show(found.value); },
    raw: (row) => { const value = cell(row)?.value; return value === undefined || value === null ? "" : Array.isArray(value) ? value.join("\\") : String(value); },
  };
}

const kept = (entity: Entity) => `dicom-graph:columns:${entity}`;
/** The columns of the address, else those of the last visit, else the usual ones. */
export function chosenColumns(entity: Entity, given: string | undefined): Column[] {
  const text = given ?? localStorage.getItem(kept(entity)) ?? DEFAULT_COLUMNS[entity];
  return text.split(",").map((key) => columnOf(entity, key)).filter((column) => column !== null);
}

export function keepColumns(entity: Entity, text: string): void {
  localStorage.setItem(kept(entity), text);
}

/** Fields that match what was typed, for a new column. */
export function matchingFields(entity: Entity, text: string): Column[] {
  const wanted = text.toLowerCase();
  return fieldsOf(entity).filter((field) => field.type !== "Boolean" && (titleOf(field).toLowerCase().includes(wanted) || field.name.toLowerCase().includes(wanted)))
    .map((field) => columnOf(entity, field.name)).filter((column) => column !== null).slice(0, 6);
}
