"use strict";

(() => {
  const root = document.getElementById("graphiql");
  const endpoint = new URL(root.dataset.endpoint, window.location.href);
  const defaultQuery = root.dataset.defaultQuery;
  const shared = new URLSearchParams(window.location.search);

  const socket = new URL(endpoint);
  socket.protocol = endpoint.protocol.replace("http", "ws");

  // Other GraphiQL pages on the same origin keep their own tabs and history.
  const prefix = `dicom-graph:${endpoint.pathname}:`;

  // With a default query, tabs last as long as the browser tab: a reload keeps the user's edits,
  // a new visit (or another default query) shows the default one. The rest is kept for good.
  const editorKeys = new Set(
    ["tabState", "query", "variables", "headers", "operationName"].map((key) => `graphiql:${key}`),
  );
  const place = (key) =>
    defaultQuery !== undefined && editorKeys.has(key)
      ? [sessionStorage, `${prefix}${defaultQuery}:${key}`]
      : [localStorage, prefix + key];
  const storage = {
    getItem(key) {
      const [store, name] = place(key);
      return store.getItem(name);
    },
    setItem(key, value) {
      const [store, name] = place(key);
      store.setItem(name, value);
    },
    removeItem(key) {
      const [store, name] = place(key);
      store.removeItem(name);
    },
    clear() {
      for (const store of [localStorage, sessionStorage]) {
        Object.keys(store)
          .filter((name) => name.startsWith(prefix))
          .forEach((name) => store.removeItem(name));
      }
    },
    get length() {
      return [localStorage, sessionStorage]
        .flatMap((store) => Object.keys(store))
        .filter((name) => name.startsWith(prefix)).length;
    },
  };

  const properties = {
    fetcher: GraphiQL.createFetcher({ url: endpoint.href, subscriptionUrl: socket.href }),
    plugins: [GraphiQLPluginExplorer.explorerPlugin()],
    defaultQuery: defaultQuery ?? root.dataset.example,
    storage,
    inputValueDeprecation: true,
  };
  if (shared.has("query")) {
    properties.query = shared.get("query");
    // Empty rather than absent, or GraphiQL adds the variables of the last visit.
    properties.variables = shared.get("variables") ?? "";
  }

  const viewer = root.dataset.viewer;
  const logo = React.createElement(
    GraphiQL.Logo,
    null,
    document.title,
    viewer && React.createElement("span", { className: "viewer" }, viewer),
  );
  ReactDOM.createRoot(root).render(React.createElement(GraphiQL, properties, logo));
})();
