import { FIELDS } from "../generated/fields";
import type { FieldName } from "../gql/graphql";

export type Entity = keyof typeof FIELDS;
export interface Field {
  name: string;
  keyword: string | null;
  unit: string | null;
  type: string;
  list: boolean;
  filter: string | null;
  order: string | null;
}
export const ENTITIES: readonly Entity[] = ["patient", "study", "series", "image"];
export const PLURAL = { patient: "patients", study: "studies", series: "series", image: "images" } as const;

export function fieldsOf(entity: Entity): readonly Field[] {
  return FIELDS[entity];
}

export function fieldOf(entity: Entity, name: string): Field | undefined {
  return fieldsOf(entity).find((field) => field.name === name || field.keyword === name);
}

/** The name of a field in enums of fields. */
export function enumName(name: string): FieldName {
  return name.replace(/[A-Z]/g, (capital) => `_${capital}`).toUpperCase() as FieldName;
}

const WORDS: Record<string, string> = {
  hasWarnings: "Warnings", missing: "File missing", edited: "Edited", nImages: "Images", nSeries: "Series",
  nStudies: "Studies", nPatients: "Patients", uid: "UID", created: "Imported", modified: "Changed",
  fullName: "Name", latestStudyTime: "Latest study",
};
const labels = new Map<Field, string>();
export function setLabel(field: Field, label: string): void {
  labels.set(field, label);
}

/** Whether the server lists a field among those of its tables. */
export function isListed(entity: Entity, name: string): boolean {
  const field = fieldOf(entity, name);
  return field !== undefined && labels.has(field);
}

/** `PixelSpacing` and `pixelSpacing` as `Pixel Spacing`. */
export function inWords(name: string): string {
  const words = name.replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What people call a field. */
export function titleOf(field: Field): string {
  return WORDS[field.name] ?? labels.get(field) ?? inWords(field.keyword ?? field.name);
}

const NUMERIC = new Set(["Int", "Float"]);
export function isNumeric(field: Field): boolean {
  return NUMERIC.has(field.type) && !field.list;
}

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 3 });
/** What stands for a moment that is kept from users who see no identities. */
const NO_MOMENT = "1970-01-01T00:00:00";
/** A value as a table shows it: numbers with separators, lists joined, times without fractions. */
export function show(value: unknown, type = ""): string {
  if (value === null || value === undefined || value === "") return "";
  if (type === "DateTime" && typeof value === "string" && value.startsWith(NO_MOMENT)) return "";
  if (typeof value === "number") return NUMBER.format(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value)) return value.map((each) => show(each)).join(typeof value[0] === "number" ? " × " : "\\");
  if ((type === "DateTime" || type === "LocalDateTime") && typeof value === "string") return value.slice(0, 16).replace("T", " ");
  if (type === "Time" && typeof value === "string") return value.slice(0, 8);
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${NUMBER.format(n)} ${n === 1 ? one : many}`;
}
