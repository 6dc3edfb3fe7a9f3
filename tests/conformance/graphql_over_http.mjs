// Called by graphql_over_http.py with the address of a server and, if it asks for one, a token.
import { serverAudits } from "graphql-http";
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import WebSocket from "ws";

const [url, token] = process.argv.slice(2);
const authorization = token ? { Authorization: `Bearer ${token}` } : {};
const missingJob = "SW1wb3J0Sm9iOjk5";
const subscription = `subscription { importProgress(jobId: "${missingJob}") { id } }`;
let failures = 0;

function report(name, problem) {
  failures += problem ? 1 : 0;
  if (problem) console.log(`FAILED ${name}: ${problem}`);
}

const fetchWithToken = (address, options = {}) =>
  fetch(address, { ...options, headers: { ...options.headers, ...authorization } });

let passed = 0;
const audits = serverAudits({ url, fetchFn: fetchWithToken });
for (const audit of audits) {
  const result = await audit.fn();
  passed += result.status === "ok" ? 1 : 0;
  report(`${audit.id} ${audit.name}`, result.status === "ok" ? null : result.reason);
}
console.log(`graphql-http: ${passed} of ${audits.length} audits pass`);

const one = (client, query) =>
  new Promise((resolve) => {
    const values = [];
    client.subscribe(
      { query },
      {
        next: (value) => values.push(value),
        error: (error) => resolve({ error }),
        complete: () => resolve({ values }),
      },
    );
  });

const isTypename = (answer) => answer.values?.[0]?.data?.__typename === "Query";
const says = (answer, words) => JSON.stringify(answer.error ?? answer.values ?? "").includes(words);

async function talk(name, client) {
  const before = failures;
  const several = await Promise.all(Array.from({ length: 20 }, () => one(client, "{ __typename }")));
  report(`${name}: 20 queries at once`, several.every(isTypename) ? null : JSON.stringify(several));
  const invalid = await one(client, "{ nope }");
  report(`${name}: a query that is not valid`, says(invalid, "nope") ? null : JSON.stringify(invalid));
  const syntax = await one(client, "{");
  report(`${name}: a syntax error`, says(syntax, "Syntax Error") ? null : JSON.stringify(syntax));
  const events = await one(client, subscription);
  report(
    `${name}: a subscription to what is not there`,
    says(events, "no such import job") ? null : JSON.stringify(events),
  );
  const after = await one(client, "{ __typename }");
  report(`${name}: a query after all that`, isTypename(after) ? null : JSON.stringify(after));
  await client.dispose();
  console.log(`${name}: ${failures === before ? "all well" : "failed"}`);
}

const wsUrl = url.replace("http", "ws");
await talk(
  "graphql-ws",
  createWsClient({ url: wsUrl, webSocketImpl: WebSocket, connectionParams: authorization }),
);
await talk("graphql-sse", createSseClient({ url, headers: authorization, retryAttempts: 0 }));

if (token) {
  const client = createWsClient({ url: wsUrl, webSocketImpl: WebSocket, retryAttempts: 0 });
  const refused = await one(client, "{ __typename }");
  const code = refused.error?.code;
  report("graphql-ws without a token", code === 4403 ? null : `closed with ${code}`);
}
process.exit(failures ? 1 : 0);
