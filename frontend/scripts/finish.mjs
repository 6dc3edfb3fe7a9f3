// After the build: manifest.json for the server, and documents.json, the operations as they are
// sent, for --trusted-documents.
import { createHash } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequest, formatDocument, stringifyDocument } from "@urql/core";
import { createServer } from "vite";

const app = "../dicom_graph/web/static/app";
const built = JSON.parse(readFileSync(`${app}/vite.json`, "utf8"));
const entry = built["src/main.tsx"];
writeFileSync(`${app}/manifest.json`, JSON.stringify({ file: entry.file, css: entry.css ?? [] }) + "\n");
rmSync(`${app}/vite.json`);

const server = await createServer({ server: { middlewareMode: true }, appType: "custom", logLevel: "error" });
const documents = await server.ssrLoadModule("/src/gql/graphql.ts");
const texts = Object.entries(documents)
  .filter(([name]) => name.endsWith("Document"))
  .map(([, document]) => stringifyDocument(formatDocument(createRequest(document, {}).query)))
  .sort();
await server.close();
const byId = Object.fromEntries(texts.map((text) => [createHash("sha256").update(text).digest("hex"), text]));
writeFileSync(`${app}/documents.json`, JSON.stringify(byId, null, 1) + "\n");
