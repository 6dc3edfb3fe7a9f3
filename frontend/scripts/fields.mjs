// Writes src/generated/fields.ts: the fields of each entity with keyword, unit, filter and order,
// as schema.graphql describes them.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { buildSchema, getNamedType, isEnumType, isListType, isLeafType, getNullableType } from "graphql";

const schema = buildSchema(readFileSync("../schema.graphql", "utf8"));
const skipped = new Set(["id", "editedFields", "filePaths", "path", "zipUrl", "url", "resourcePath", "fileUrl", "headerJsonUrl", "defaultPath", "missingRelation", "warnings"]);
const units = [[/ in ms\b/, "ms"], [/ in tesla\b/, "T"], [/ in mm\b/, "mm"], [/ in degrees\b/, "°"]];
const upper = (name) => name.replace(/([A-Z])/g, "_$1").toUpperCase();

const entities = {};
for (const name of ["Patient", "Study", "Series", "Image"]) {
  const fields = schema.getType(name).getFields();
  const filter = schema.getType(`${name}Filter`).getFields();
  const order = new Set(schema.getType(`${name}OrderField`).getValues().map((value) => value.name));
  entities[name.toLowerCase()] = Object.values(fields)
    .filter((field) => isLeafType(getNamedType(field.type)) && !field.args.length && !skipped.has(field.name))
    .map((field) => {
      const text = field.description ?? "";
      const keyword = /^([A-Z][A-Za-z]+) \(/.exec(text)?.[1];
      const named = getNamedType(field.type);
      return {
        name: field.name,
        keyword: keyword ?? null,
        unit: units.find(([pattern]) => pattern.test(text))?.[1] ?? null,
        type: isEnumType(named) ? "Enum" : named.name,
        list: isListType(getNullableType(field.type)),
        filter: filter[field.name] ? getNamedType(filter[field.name].type).name : null,
        order: order.has(upper(field.name)) ? upper(field.name) : null,
      };
    });
  for (const flag of ["hasWarnings", "missing", "edited"]) {
    if (filter[flag]) {
      entities[name.toLowerCase()].push({
        name: flag, keyword: null, unit: null, type: "Boolean", list: false, filter: "Boolean", order: null,
      });
    }
  }
}
mkdirSync("src/generated", { recursive: true });
writeFileSync(
  "src/generated/fields.ts",
  `// Written by scripts/fields.mjs from schema.graphql.\nexport const FIELDS = ${JSON.stringify(entities, null, 1)} as const;\n`,
);
