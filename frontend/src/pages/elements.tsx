import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { textOf } from "../lib/address";
import { elementName } from "../lib/columns";
import { plural, show } from "../lib/fields";
import { Icon } from "../parts/icons";
import { Empty, Failure, Loading } from "../parts/states";

const LIST = graphql(`
  query Elements($filter: DataElementDefinitionFilter, $after: String) {
    dataElementDefinitions(filter: $filter, first: 200, after: $after) { nodes { id tag keyword name vr privateCreator } pageInfo { hasNextPage endCursor } }
  }
`);
const ONE = graphql(`
  query ElementPage($id: ID!) {
    node(id: $id) {
      ... on DataElementDefinition {
        id tag keyword name vr vrName privateCreator
        elements(first: 100) { nodes { id vm warnings value values { index raw } } pageInfo { hasNextPage } }
      }
    }
  }
`);

/** All elements that occur: what they are called, and the way to their values. */
export function Elements() {
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const text = textOf(search, "q"), shown = textOf(search, "kind") || (text ? "all" : "standard"), kind = shown === "all" ? "" : shown;
  const set = (change: Record<string, string | undefined>) => { void navigate({ to: "/elements", search: { ...search, ...change } as never, replace: true }); };
  const isTag = /^\(?[0-9a-f]{4},?[0-9a-fx]{4}\)?$/i.test(text);
  const filter = { ...(text ? (isTag ? { tag: text } : { name: { icontains: text } }) : {}), ...(kind ? { private: kind === "private" } : {}) };
  const [{ data, error, fetching }, again] = useQuery({ query: LIST, variables: { filter } });
  const list = data?.dataElementDefinitions;
  return (
    <div className="page">
      <div className="head"><div className="grow"><h1>Elements</h1><div className="facts"><span>All that occur in any header, standard and private, nested ones too</span></div></div></div>
      <section className="panel">
        <header><input type="search" aria-label="Find an element" placeholder="Name or tag" value={text} onChange={(event) => { set({ q: event.target.value || undefined }); }} />
          <div className="end"><span className="seg" role="group" aria-label="Which elements">{["standard", "private", "all"].map((key) => <button key={key} type="button" aria-pressed={shown === key} onClick={() => { set({ kind: key }); }}>{key}</button>)}</span></div></header>
        {error && <Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} />}
        {fetching && !list && <Loading what="elements" />}
        {list?.nodes.length === 0 && <Empty title="No element is called so"><p>Look for a part of its name, or for its tag.</p></Empty>}
        {list && list.nodes.length > 0 && <div className="wide" tabIndex={0} role="region" aria-label="Elements"><table><caption className="sr">Elements</caption><thead><tr><th>Element</th><th>Keyword</th><th>Tag</th><th>VR</th><th>Creator</th></tr></thead>
          <tbody>{list.nodes.map((each) => <tr key={each.id}><td><Link to="/elements/$id" params={{ id: each.id }}>{each.name}</Link></td><td>{each.keyword}</td><td className="mono">{each.tag}</td><td className="mono">{each.vr}</td><td className="mono">{each.privateCreator}</td></tr>)}</tbody></table></div>}
        {list?.pageInfo.hasNextPage && <p className="hint quiet">The first 200 are shown: look for a part of the name.</p>}
      </section>
    </div>
  );
}

/** One element: what it is, which values it has, and what can be asked of it. */
export function ElementPage() {
  const { id } = useParams({ strict: false });
  const [text, setText] = useState("");
  const [{ data, error, fetching }, again] = useQuery({ query: ONE, variables: { id: id ?? "" } });
  if (error && !data?.node) return <div className="page"><h1 className="sr">Element</h1><Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} /></div>;
  if (fetching && !data) return <Loading what="the element" />;
  const found = data?.node;
  const node = found && "vrName" in found ? (found as Extract<typeof found, { id: string }>) : null;
  if (!node) return <div className="page"><Empty title="There is no such element"><Link className="btn" to="/elements">All elements</Link></Empty></div>;
  const name = elementName(node);
  const textOfElement = (each: (typeof node.elements.nodes)[number]) => show(each.value) || each.values.map((value) => value.raw ?? "").join("\\");
  const values = node.elements.nodes.filter((each) => !text || textOfElement(each).toLowerCase().includes(text.toLowerCase()));
  return (
    <div className="page">
      <div className="head"><div className="grow">
        <nav className="crumbs" aria-label="Where this is"><Link to="/elements">Elements</Link><span>/</span><span className="mono">{node.tag}</span></nav>
        <h1>{node.name}</h1>
        <div className="facts">{node.keyword && <span>{node.keyword}</span>}<span>{node.vr}, {node.vrName}</span>{node.privateCreator && <span>private, of <b className="mono">{node.privateCreator}</b></span>}</div>
      </div>
      <div className="actions">
        <Link className="btn" to="/explore" search={{ by: `@${name}` } as never}><Icon name="bars" /> How is it distributed</Link>
        <Link className="btn" to="/series" search={{ f: [`element.${name}?`] }}><Icon name="list" /> Series that have it</Link>
        <Link className="btn" to="/series" search={{ c: `modality,date,manufacturerModelName,nImages,@${name}` }}><Icon name="columns" /> As a column</Link>
      </div></div>
      <section className="panel">
        <header><h2>Distinct contents</h2><div className="end">{plural(node.elements.nodes.length, "content")}{node.elements.pageInfo.hasNextPage && ", the first"} <input type="search" aria-label="Find among the contents" placeholder="Find" value={text} onChange={(event) => { setText(event.target.value); }} /></div></header>
        <ul className="found">{values.map((each) => <li key={each.id}><Link className="mono" to="/series" search={{ f: [`element.${name}${each.vm === 1 && each.values[0]?.raw && node.vr !== "SQ" ? `=${each.values[0].raw}` : "?"}`] }}>{node.vr === "SQ" ? plural(each.vm, "item") : textOfElement(each).slice(0, 160) || "(empty)"}</Link>{each.warnings.length > 0 && <span className="tag warn" title={each.warnings.join("\n")}><Icon name="warn" />{each.warnings.length}</span>}</li>)}</ul>
        {values.length === 0 && <p className="hint quiet">None.</p>}
      </section>
    </div>
  );
}
