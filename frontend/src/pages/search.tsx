import { Link, useSearch } from "@tanstack/react-router";
import { useQuery } from "urql";
import type { ReactNode } from "react";
import { graphql } from "../gql";
import { textOf } from "../lib/address";
import { elementName } from "../lib/columns";
import { Picture } from "../parts/picture";
import { Empty, Failure, Loading } from "../parts/states";

const SEARCH = graphql(`
  query Search($text: String!) {
    search(text: $text, first: 12) {
      patients { node { id uid fullName } texts { field text word start } }
      studies { node { id uid description date } texts { field text word start } }
      series { node { id uid number description modality nImages patient { id uid fullName } } texts { of field text word start } }
      definitions { node { id tag keyword name vr privateCreator } texts { field text word start } }
      values { node { id raw display } definition { id tag keyword name vr privateCreator } texts { text word start } }
    }
  }
`);
interface Matched { text: string; word: string; start: number; field?: string }

/** The text with its match marked; of a long one what is around it. */
function Mark({ text, word, start }: Matched) {
  const chars = [...text];
  const from = Math.max(0, start - 40), length = [...word].length;
  return <>{from > 0 && "…"}{chars.slice(from, start).join("")}<mark>{chars.slice(start, start + length).join("")}</mark>{chars.slice(start + length, start + length + 60).join("")}{chars.length > start + length + 60 && "…"}</>;
}

function Where({ texts }: { texts: readonly Matched[] }) {
  return <span className="muted">{texts.slice(0, 2).map((each, i) => <span key={i}>{i > 0 && " · "}{each.field && `${each.field.toLowerCase().replaceAll("_", " ")}: `}<Mark {...each} /></span>)}</span>;
}

function Found({ title, all, children }: { title: string; all?: ReactNode; children: ReactNode[] }) {
  if (children.length === 0) return null;
  return <section className="panel"><header><h2>{title}</h2><div className="end">{children.length}{children.length === 12 && "+"} {all}</div></header><ul className="found">{children}</ul></section>;
}

/** Everything that has the words: patients, studies, series, elements, values; and where. */
export function Search() {
  const text = textOf(useSearch({ strict: false }), "q");
  const [{ data, error, fetching }, again] = useQuery({ query: SEARCH, variables: { text }, pause: !text });
  const found = data?.search;
  const none = found && [found.patients, found.studies, found.series, found.definitions, found.values].every((list) => list.length === 0);
  return (
    <div className="page">
      <div className="head"><div className="grow"><h1>Search</h1><div className="facts"><span>{text ? <>for <b>{text}</b></> : "Type words into the field above."}</span></div></div></div>
      {error && <Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} />}
      {fetching && !data && <Loading what="what has these words" />}
      {none && <Empty title="Nothing has all of these words"><p>Words are looked for in UIDs, names, descriptions, keywords and values of elements, in either case. Try fewer of them.</p></Empty>}
      {found && <div className="col">
        <Found title="Patients" all={<Link className="link" to="/patients" search={{ q: text }}>As a table</Link>}>{found.patients.map(({ node, texts }) => <li key={node.id}><Link to="/patients/$uid" params={{ uid: node.uid }}>{node.fullName ?? node.uid}</Link><Where texts={texts} /></li>)}</Found>
        <Found title="Studies" all={<Link className="link" to="/studies" search={{ q: text }}>As a table</Link>}>{found.studies.map(({ node, texts }) => <li key={node.id}><Link to="/studies/$uid" params={{ uid: node.uid }}>{node.description ?? "(no description)"} <span className="muted">{node.date}</span></Link><Where texts={texts} /></li>)}</Found>
        <Found title="Series" all={<Link className="link" to="/series" search={{ q: text }}>As a table</Link>}>{found.series.map(({ node, texts }) => <li key={node.id} className="pictured"><Picture kind="series" uid={node.uid} label={node.modality ?? ""} /><Link to="/series/$uid" params={{ uid: node.uid }}>#{node.number ?? "–"} {node.description ?? "(no description)"} <span className="muted">{node.patient?.fullName}</span></Link><Where texts={texts} /></li>)}</Found>
        <Found title="Elements" all={<Link className="link" to="/elements" search={{ q: text } as never}>All</Link>}>{found.definitions.map(({ node, texts }) => <li key={node.id}><Link to="/elements/$id" params={{ id: node.id }}>{node.keyword ?? node.name} <span className="mono quiet">{node.tag}</span></Link><Where texts={texts} /></li>)}</Found>
        <Found title="Values">{found.values.map(({ node, definition, texts }) => <li key={node.id}><Link to="/series" search={{ f: [`element.${elementName(definition)}=${node.raw ?? ""}`] }}>{definition.keyword ?? definition.name} <span className="mono quiet">{definition.tag}</span></Link><Where texts={texts} /></li>)}</Found>
      </div>}
    </div>
  );
}
