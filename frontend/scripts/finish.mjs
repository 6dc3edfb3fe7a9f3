// After the build: manifest.json for the server; documents.json, the operations as they are sent, for
// --trusted-documents; and LICENSES.md with the texts that packages do not bring along themselves.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

const [title, ...sections] = readFileSync(`${app}/LICENSES.md`, "utf8").split(/^(?=## )/m);
const whole = sections.map((section) => {
  const [head, ...text] = section.split("\n");
  if (text.join("").trim()) return section;
  const file = `licenses/${/^## (\S+)/.exec(head)[1].replace("/", "__")}.txt`;
  if (!existsSync(file)) throw new Error(`${head}: the package has no text of its license; put it into frontend/${file}`);
  return `${head}\n\n${readFileSync(file, "utf8")}\n`;
});
writeFileSync(`${app}/LICENSES.md`, title + whole.join(""));
