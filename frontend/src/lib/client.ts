import { createClient as createSocket, type Client as Socket } from "graphql-ws";
import { useSyncExternalStore } from "react";
import { Client, fetchExchange, mapExchange, subscriptionExchange, type CombinedError } from "urql";
import { cacheExchange, type UpdateResolver } from "@urql/exchange-graphcache";
import { at } from "./base";

let socket: Socket | undefined;
function live(): Socket {
  socket ??= createSocket({
    url: new URL(at("/graphql"), location.href).href.replace(/^http/, "ws"),
    retryAttempts: Infinity,
    shouldRetry: () => true,
  });
  return socket;
}

const watchers = new Set<() => void>();
let lost = false;
function setLost(now: boolean): void {
  if (now === lost) return;
  lost = now;
  for (const watcher of watchers) watcher();
  if (now) window.setTimeout(probe, 1500);
}

/** Asks until the server answers again. */
async function probe(): Promise<void> {
  try {
    const answer = await fetch(at("/healthz"));
    if (!answer.ok) throw new Error();
    setLost(false);
  } catch {
    window.setTimeout(probe, 2000);
  }
}

/** Whether the server cannot be reached; it is asked again until it can. */
export function useLost(): boolean {
  return useSyncExternalStore(
    (watcher) => (watchers.add(watcher), () => watchers.delete(watcher)),
    () => lost,
  );
}

function onError(error: CombinedError): void {
  const response = error.response as Response | undefined;
  if (response?.status === 401) {
    const next = location.pathname.slice(at("").length) + location.search;
    location.assign(at(`/login?next=${encodeURIComponent(next)}`));
  } else if (error.networkError && !response) setLost(true);
}

const CHANGES = ["deletePatient", "deleteStudy", "deleteSeries", "deleteImage", "refresh"];
/** After a change nothing that was listed or counted is trusted. */
const forget: UpdateResolver = (_result, _args, cache) => {
  for (const field of cache.inspectFields("Query")) cache.invalidate("Query", field.fieldName, field.arguments);
};

export const client = new Client({
  url: at("/graphql"),
  preferGetMethod: false,
  // Without what streams: answers come whole.
  fetchOptions: { headers: { Accept: "application/graphql-response+json, application/json" } },
  exchanges: [
    mapExchange({ onResult: (result) => { if (result.error) onError(result.error); else setLost(false); } }),
    cacheExchange({ updates: { Mutation: Object.fromEntries(CHANGES.map((name) => [name, forget])) } }),
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: (request) => ({
        subscribe: (sink) => ({
          unsubscribe: live().subscribe({ query: request.query ?? "", variables: request.variables }, sink as never),
        }),
      }),
    }),
  ],
});

/** What went wrong, in the server's words, and its code. */
export function explain(error: CombinedError): { message: string; code: string | null } {
  const first = error.graphQLErrors[0];
  if (first) {
    const code = first.extensions["code"];
    return { message: first.message, code: typeof code === "string" ? code : null };
  }
  return { message: "The server cannot be reached. It is asked again by itself.", code: null };
}
