// Writes, as schema.graphql describes the entities: src/generated/fields.ts, their fields with
// keyword, unit, filter and order; src/generated/rows.ts, the lists of the tables. A list asks for what
// each row is called, and for the fields of the columns that are shown alone.
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

// What rows are called by, what is done with them, and their picture.
const named = {
  Patient: ["fullName nImages", "picture: series(first: 1) { nodes { id uid modality } }"],
  Study: ["description nImages", "patients(first: 1) { nodes { id uid fullName } }", "picture: series(first: 1) { nodes { id uid modality } }"],
  Series: ["number description protocolName modality nImages", "patient { id uid fullName }", "sampleHeader @include(if: $withElements) { id elementsAt(keys: $keys) { id vr vm value warnings } }"],
  // The patient by way of the series: the server plans that way ahead, with the columns it needs alone.
  Image: ["number missingSince", "series { id description patient { id uid fullName } }", "header @include(if: $withElements) { id elementsAt(keys: $keys) { id vr vm value warnings } }"],
};
const lists = { Patient: "patients", Study: "studies", Series: "series", Image: "images" };
const document = (entity) => {
  const [texts, ...relations] = named[entity];
  const always = new Set(["id", "uid", ...texts.split(" ")]);
  const fields = entities[entity.toLowerCase()].map((field) => field.name)
    .filter((name) => !always.has(name) && schema.getType(entity).getFields()[name]);
  const elements = relations.some((text) => text.includes("$keys"));
  const variables = [
    `$filter: ${entity}Filter, $search: String, $orderBy: [${entity}Order!], $after: String, $first: Int`,
    ...(elements ? ["$keys: [ElementKey!]! = [], $withElements: Boolean! = false"] : []),
    ...fields.map((name) => `$${name}: Boolean! = false`),
  ];
  return `  ${entity.toLowerCase()}: graphql(\`
    query ${entity}Rows(
      ${variables.join("\n      ")}
    ) {
      rows: ${lists[entity]}(filter: $filter, search: $search, orderBy: $orderBy, first: $first, after: $after) {
        nodes {
          ${[...always].join(" ")}
          ${[...relations, ...fields.map((name) => `${name} @include(if: $${name})`)].join("\n          ")}
        }
        pageInfo { hasNextPage endCursor }
      }
    }
  \`),`;
};
writeFileSync(
  "src/generated/rows.ts",
  `// Written by scripts/fields.mjs from schema.graphql.\nimport { graphql } from "../gql";\n\nexport const ROWS = {\n${Object.keys(named).map(document).join("\n")}\n} as const;\n`,
);
