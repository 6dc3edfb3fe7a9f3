// Page, change and delete through a client with a normalised cache; compare it with the server.
import assert from "node:assert/strict";

const [name, url] = process.argv.slice(2);
const SERIES = "id uid number description study { id uid description } patient { id uid }";
const PAGE = `query Page($first: Int, $after: String, $last: Int, $before: String) {
  series(first: $first, after: $after, last: $last, before: $before, orderBy: [{ field: NUMBER }]) {
    edges { cursor node { ${SERIES} } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}`;
const UPDATE = `mutation Update($input: UpdateSeriesInput!) {
  updateSeries(input: $input) { series { id description } errors { message code } }
}`;
const DELETE = `mutation Delete($input: DeleteInput!) {
  deleteSeries(input: $input) { deletedId errors { message code } }
}`;
const BELOW = `{ patients { nodes { id uid studies { edges { node { id uid description } } } } } }`;

/** What the server says of all series, without a cache. */
async function truth() {
  const body = JSON.stringify({ query: PAGE, variables: { first: 100 } });
  const headers = { "content-type": "application/json" };
  const { data, errors } = await (await fetch(url, { method: "POST", headers, body })).json();
  assert.equal(errors, undefined);
  return nodes(data);
}

const nodes = (data) => data.series.edges.map((edge) => plain(edge.node));
/** Without what clients add. */
const plain = (value) => JSON.parse(JSON.stringify(value, (key, v) => (key === "__typename" ? undefined : v)));

async function apollo() {
  const { ApolloClient, HttpLink, InMemoryCache, gql } = await import("@apollo/client");
  const { relayStylePagination } = await import("@apollo/client/utilities");
  const fields = { series: relayStylePagination(["filter", "orderBy"]) };
  const cache = new InMemoryCache({ typePolicies: { Query: { fields } } });
  const client = new ApolloClient({ link: new HttpLink({ uri: url }), cache });
  const page = gql(PAGE);
  const run = async (answer) => {
    const { data, error } = await answer;
    if (error) throw error;
    return data;
  };
  return {
    forget: () => client.clearStore(),
    page: (variables) => run(client.query({ query: page, variables, fetchPolicy: "network-only" })),
    cached: () => cache.readQuery({ query: page, variables: {} }),
    query: (text) => run(client.query({ query: gql(text) })),
    update: (input) => run(client.mutate({ mutation: gql(UPDATE), variables: { input } })),
    remove: (input) =>
      run(
        client.mutate({
          mutation: gql(DELETE),
          variables: { input },
          update(cache, { data }) {
            const id = data.deleteSeries.deletedId;
            cache.evict({ id: cache.identify({ __typename: "Series", id }) });
            cache.gc();
          },
        }),
      ),
  };
}

async function urql() {
  const { Client, fetchExchange } = await import("@urql/core");
  const { cacheExchange } = await import("@urql/exchange-graphcache");
  const { relayPagination } = await import("@urql/exchange-graphcache/extras");
  let client;
  const forget = () => {
    const updates = {
      Mutation: {
        deleteSeries(result, _arguments, cache) {
          cache.invalidate({ __typename: "Series", id: result.deleteSeries.deletedId });
          for (const field of cache.inspectFields("Query")) {
            if (field.fieldName === "series") cache.invalidate("Query", field.fieldName, field.arguments);
          }
        },
      },
    };
    // Objects without an id belong to what they are in.
    const keys = new Proxy({}, { get: (_, type) => (data) => data.id ?? null, has: () => true });
    const resolvers = { Query: { series: relayPagination() } };
    const cache = cacheExchange({ keys, resolvers, updates });
    client = new Client({ url, exchanges: [cache, fetchExchange], preferGetMethod: false });
  };
  forget();
  const run = async (answer) => {
    const { data, error } = await answer;
    if (error) throw error;
    return data;
  };
  let last;
  return {
    forget,
    page: (variables) => run(client.query(PAGE, (last = variables))),
    cached: async () => run(client.query(PAGE, last, { requestPolicy: "cache-first" })),
    query: (text) => run(client.query(text, {})),
    update: (input) => run(client.mutation(UPDATE, { input })),
    remove: (input) => run(client.mutation(DELETE, { input })),
  };
}

const client = await { apollo, urql }[name]();
const all = await truth();
assert.equal(all.length, 5);

let data = await client.page({ first: 2 });
for (let more = true; more; ) {
  const end = data.series.pageInfo.endCursor;
  data = await client.page({ first: 2, after: end });
  more = data.series.pageInfo.hasNextPage;
}
assert.deepEqual(nodes(await client.cached()), all, "forwards");

await client.forget();
data = await client.page({ last: 2 });
for (let more = true; more; ) {
  const start = data.series.pageInfo.startCursor;
  data = await client.page({ last: 2, before: start });
  more = data.series.pageInfo.hasPreviousPage;
}
assert.deepEqual(nodes(await client.cached()), all, "backwards");

await client.query(BELOW);
assert.deepEqual(nodes(await client.cached()), all, "the same studies in another place");

const { updateSeries } = await client.update({ id: all[2].id, description: "changed" });
assert.deepEqual(updateSeries.errors, []);
const changed = nodes(await client.cached());
assert.equal(changed[2].description, "changed");
assert.deepEqual(changed, await truth(), "after an update");

const { deleteSeries } = await client.remove({ id: all[1].id });
assert.deepEqual(deleteSeries.errors, []);
assert.equal(deleteSeries.deletedId, all[1].id);
const left = nodes(await client.cached());
assert.ok(!left.some((series) => series.id === all[1].id), "the deleted series is still there");
const there = await truth();
assert.equal(there.length, 4);
for (const series of left) assert.deepEqual(series, there.find((one) => one.id === series.id));
console.log(`${name}: pages in both directions, an update and a delete are in its cache`);
process.exit(0);
