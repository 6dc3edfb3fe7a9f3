// What a page on another origin may do, with urql and graphql-ws as their documentation says.
// `window.tryAll(url, token)` resolves to the outcome of each, by name: what came, or "refused: …".
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";

const UPLOAD = `mutation Upload($input: UploadImagesInput!) {
  uploadImages(input: $input) { job { id } errors { message code } } }`;
const PROGRESS = `subscription Progress($id: ID!) { importProgress(jobId: $id) { id status created } }`;
const PICTURE = `query Picture { images { nodes { pixels { pngUrl } } } }`;

function clientOf(url, token, socket) {
  const authorization = token ? { Authorization: `Bearer ${token}` } : {};
  return new Client({
    url: `${url}/graphql`,
    exchanges: [
      subscriptionExchange({
        forwardSubscription: (request) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ query: request.query, variables: request.variables }, sink),
          }),
        }),
      }),
      fetchExchange,
    ],
    preferGetMethod: false,
    fetchOptions: {
      headers: { ...authorization, "GraphQL-Require-Preflight": "1", "Apollo-Require-Preflight": "1" },
    },
  });
}

const dataOf = (answer) => {
  if (answer.error) throw answer.error;
  return answer.data;
};

/** The states of an import until it has ended. */
function follow(client, id) {
  return new Promise((resolve, reject) => {
    const states = [];
    const timer = setTimeout(() => reject(new Error(`no end after ${states}`)), 20_000);
    const { unsubscribe } = client.subscription(PROGRESS, { id }).subscribe(({ data, error }) => {
      if (error) reject(error);
      else states.push(data.importProgress.status);
      if (!error && states.at(-1) !== "COMPLETED") return;
      clearTimeout(timer);
      resolve(states.at(-1));
      setTimeout(() => unsubscribe());
    });
  });
}

/** The size of the picture of an `<img>`, and whether its pixels may be read. */
function show(address, attributes) {
  return new Promise((resolve, reject) => {
    const image = Object.assign(new Image(), attributes);
    image.onerror = () => reject(new Error("the picture is blocked"));
    image.onload = () => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
      const context = canvas.getContext("2d");
      context.drawImage(image, 0, 0);
      context.getImageData(0, 0, 1, 1);
      resolve([image.naturalWidth, image.naturalHeight]);
    };
    image.src = address;
  });
}

async function load(address, token) {
  const answer = await fetch(address, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const blob = await answer.blob();
  return [blob.type, blob.size > 0, answer.headers.get("X-Request-ID") !== null];
}

window.tryAll = async (url, token, image, picture) => {
  const outcomes = (window.outcomes = {});
  const attempt = async (name, action) => {
    try {
      return (outcomes[name] = await action());
    } catch (error) {
      outcomes[name] = `refused: ${error.message ?? JSON.stringify(error)}`;
      return null;
    }
  };
  const socket = createClient({
    url: `${url.replace("http", "ws")}/graphql`,
    connectionParams: token ? { Authorization: `Bearer ${token}` } : {},
    retryAttempts: 0,
  });
  const client = clientOf(url, token, socket);
  const file = new File([Uint8Array.from(atob(image), (c) => c.charCodeAt(0))], "a.dcm");
  await attempt("query", async () => dataOf(await client.query("query Who { viewer { name } }", {})).viewer.name);
  const sent = await attempt("upload", async () => {
    const { uploadImages } = dataOf(await client.mutation(UPLOAD, { input: { files: [file] } }));
    return uploadImages.errors.length ? uploadImages.errors : uploadImages.job.id;
  });
  await attempt("subscription", () => follow(client, sent ?? "SW1wb3J0Sm9iOjE="));
  const address = async () => {
    const found = dataOf(await client.query(PICTURE, {}, { requestPolicy: "network-only" }));
    return new URL(found.images.nodes[0].pixels.pngUrl, url).href;
  };
  const found = (await attempt("address", address)) ?? picture;
  await attempt("fetch", () => load(found, token));
  await attempt("img crossorigin", () => show(found, { crossOrigin: "anonymous" }));
  await attempt("img", () => show(found, {}));
  await attempt("form", async () => {
    // As a form of a page sends it: nothing can be read, and nothing may be done.
    const body = new FormData();
    body.append("file", file);
    return (await fetch(`${url}/upload`, { method: "POST", mode: "no-cors", body })).type;
  });
  return outcomes;
};
window.isReady = true;
