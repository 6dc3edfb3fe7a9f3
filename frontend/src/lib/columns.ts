import { fieldOf, fieldsOf, isNumeric, show, titleOf, type Entity } from "./fields";
import type { Row } from "./use-rows";

export interface Column {
  /** As in the address: the name of a field, or @ and a keyword. */
  key: string;
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

function elementColumn(entity: Entity, keyword: string): Column | null {
  if (entity !== "series" && entity !== "image") return null;
  const value = (row: Row): unknown => {
    const header = (row["sampleHeader"] ?? row["header"]) as { elements: { keyword: string; value: unknown }[] } | null | undefined;
    return header?.elements.find((element) => element.keyword === keyword)?.value;
  };
  return {
    key: `@${keyword}`, title: keyword, short: keyword, unit: null, numeric: false, width: Math.min(220, 40 + keyword.length * 7.5),
    order: { element: { keyword } }, filter: `header.${keyword}`,
    text: (row) => show(value(row)), raw: (row) => (value(row) === undefined ? "" : Array.isArray(value(row)) ? (value(row) as unknown[]).join("\\") : String(value(row))),
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
