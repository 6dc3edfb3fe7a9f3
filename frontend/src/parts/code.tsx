import { print, type DocumentNode } from "graphql";
import { useState } from "react";
import { at } from "../lib/base";
import { pruned } from "../lib/pruned";
import { Icon } from "./icons";

type Form = "GraphQL" | "Python" | "curl";

/** What a page asked, for GraphiQL, Python and the command line. */
export function Code({ document, variables, close }: { document: DocumentNode; variables: Record<string, unknown>; close: () => void }) {
  const [form, setForm] = useState<Form>("GraphQL");
  const asked = pruned(document, variables);
  const query = print(asked.document);
  const given = JSON.stringify(asked.variables, (_, value: unknown) => value ?? undefined, 2);
  const url = new URL(at("/graphql"), location.href).href;
  const texts: Record<Form, string> = {
    GraphQL: `${query}\n\n# variables\n${given}`,
    Python: `from gql import Client, gql\nfrom gql.transport.httpx import HTTPXTransport\nimport json\n\nclient = Client(transport=HTTPXTransport(url=${JSON.stringify(url)}))\nquery = gql("""\n${query}\n""")\nquery.variable_values = json.loads(r'''${given}''')\nprint(client.execute(query))`,
    curl: `curl ${url} -H 'Content-Type: application/json' --data-binary @- <<'JSON'\n${JSON.stringify({ query, variables: JSON.parse(given) as unknown }, null, 1)}\nJSON`,
  };
  const graphiql = `${at("/graphql")}?query=${encodeURIComponent(query)}&variables=${encodeURIComponent(given)}`;
  return (
    <aside className="chooser" aria-label="Show as GraphQL">
      <header><h2>The same, asked</h2><button type="button" className="btn plain icon-only" aria-label="Close" onClick={close}><Icon name="x" /></button></header>
      <div className="add row">
        <span className="seg" role="group" aria-label="Language">{(["GraphQL", "Python", "curl"] as const).map((each) => <button key={each} type="button" aria-pressed={each === form} onClick={() => { setForm(each); }}>{each}</button>)}</span>
        <button type="button" className="btn small" onClick={() => { void navigator.clipboard.writeText(texts[form]); }}>Copy</button>
        <a className="btn small" href={graphiql}>GraphiQL</a>
      </div>
      <pre className="code" tabIndex={0}>{texts[form]}</pre>
    </aside>
  );
}
