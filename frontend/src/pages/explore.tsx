import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useClient, useQuery } from "urql";
import { graphql } from "../gql";
import { textOf, type TableSearch } from "../lib/address";
import { bars, type Bar, type Value } from "../lib/bins";
import type { FieldName } from "../gql/graphql";
import { ENTITIES, enumName, fieldOf, fieldsOf, PLURAL, plural, show, titleOf, type Entity } from "../lib/fields";
import { formatFilter, parseFilter, toGraphQL, type Filter } from "../lib/filters";
import { Chips } from "../parts/chips";
import { Code } from "../parts/code";
import { Icon } from "../parts/icons";
import { useKeys } from "../parts/keys";
import { Failure, Loading } from "../parts/states";

const VALUES = graphql(`
  query ExploreValues($entity: EntityType!, $field: FieldName, $keyword: String, $filter: FacetFilter) {
    facet(entity: $entity, field: $field, keyword: $keyword, filter: $filter, first: 500) { value count }
  }
`);
const SKIPPED = new Set(["uid", "created", "modified", "datetime", "latestStudyTime"]);

/** What a key asks: a field, or with @ the keyword of any element. */
function asked(key: string): { field?: FieldName; keyword?: string } {
  return key.startsWith("@") ? { keyword: key.slice(1) } : { field: enumName(key) };
}
const named = (entity: Entity, key: string) => (key.startsWith("@") ? `header.${key.slice(1)}` : `${entity}.${key}`);
const titled = (entity: Entity, key: string) => { const field = fieldOf(entity, key); return key.startsWith("@") ? key.slice(1) : field ? titleOf(field) : key; };

/** Counts by one key, or by two. */
export function Explore() {
  const search: TableSearch = useSearch({ strict: false });
  const navigate = useNavigate();
  const given = textOf(search, "of");
  const entity: Entity = ENTITIES.find((each) => each === given) ?? "series";
  const by = textOf(search, "by") || ({ patient: "sex", study: "date", series: "modality", image: "rows" } as const)[entity];
  const and = textOf(search, "and");
  const panel = textOf(search, "panel");
  const filters = (search.f ?? []).map((text) => parseFilter(text, entity)).filter((filter) => filter.length);
  const set = (change: Record<string, unknown>) => { void navigate({ to: "/explore", search: { ...search, ...change } as never }); };
  useKeys((event) => { if (event.key === ".") set({ panel: panel ? undefined : "code" }); });
  const filter = toGraphQL(filters, entity);
  const variables = { entity: entity.toUpperCase() as "SERIES", ...asked(by), filter: filter ? { [entity]: filter } : null };
  const [{ data, error, fetching }, again] = useQuery({ query: VALUES, variables });
  const made = data ? bars(data.facet as Value[], named(entity, by)) : [];
  const ordered = made.some((bar) => bar.filters.length > 1) || made.every((bar) => bar.label === "none" || Number.isFinite(Number(bar.label)));
  const total = made.reduce((sum, bar) => sum + bar.count, 0);
  const narrowed = (bar: Bar) => [...(search.f ?? []), ...bar.filters];
  return (
    <div className="page">
      <div className="head"><div className="grow"><h1>Explore</h1></div><div className="actions">
        <Link className="btn" to={`/${PLURAL[entity]}` as "/series"} search={{ f: search.f } as never}><Icon name="list" /> Open as table</Link>
        <button type="button" className="btn" aria-expanded={panel === "code"} onClick={() => { set({ panel: panel ? undefined : "code" }); }}><Icon name="code" /> Show as GraphQL</button>
      </div></div>
      <div className={panel === "code" ? "explore" : "explore one"}>
        <div className="col">
          <section className="panel">
            <div className="keys">
              <span className="muted">Count</span>
              <span className="seg" role="group" aria-label="What is counted">{ENTITIES.map((each) => <button key={each} type="button" aria-pressed={each === entity} onClick={() => { set({ of: each, by: undefined, and: undefined, f: undefined }); }}>{PLURAL[each]}</button>)}</span>
              <span className="muted">by</span><Key entity={entity} value={by} label="By" change={(key) => { set({ by: key }); }} />
              <span className="muted">and</span><Key entity={entity} value={and} label="And by" none change={(key) => { set({ and: key || undefined }); }} />
              {and && <button type="button" className="btn plain icon-only" aria-label="Change places" onClick={() => { set({ by: and, and: by }); }}>⇄</button>}
            </div>
            <div className="keys"><Chips entity={entity} filters={filters} change={(next: Filter[]) => { set({ f: next.map(formatFilter) }); }} /></div>
          </section>
          <section className="panel"><header><h2>{titled(entity, by)}</h2><div className="end">{plural(total, entity, PLURAL[entity])}</div></header>
            {error ? <Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} /> : fetching && !data ? <Loading what="counts" /> : made.length === 0 ? <p className="hint quiet">None of them has a value.</p> : <Plot bars={made} upright={ordered} link={(bar) => ({ f: narrowed(bar) })} />}
          </section>
          {and && made.length > 0 && <Cross key={and} entity={entity} rows={made.slice(0, 14)} by={by} and={and} filters={filters} link={(bar, key) => ({ f: [...narrowed(bar), ...key.filters] })} />}
        </div>
        {panel === "code" && <div className="panel inline-code"><Code document={VALUES as never} variables={variables} close={() => { set({ panel: undefined }); }} /></div>}
      </div>
    </div>
  );

  function Plot({ bars: list, upright, link }: { bars: Bar[]; upright: boolean; link: (bar: Bar) => Record<string, unknown> }) {
    const most = Math.max(1, ...list.map((bar) => bar.count));
    const narrow = (bar: Bar) => ({ ...search, ...link(bar) });
    if (upright) {
      return <ul className="columns-plot tall">{list.map((bar) => (
        <li key={bar.label}><Link to="/explore" search={narrow(bar) as never} aria-label={`${bar.label}: ${String(bar.count)}`}><span className="n">{bar.count ? show(bar.count) : ""}</span><i ref={(node) => { if (node) node.style.height = `${String((130 * bar.count) / most)}px`; }} /><span className="clip">{bar.label}</span></Link></li>
      ))}</ul>;
    }
    return <ul className="bars long">{list.slice(0, 40).map((bar) => (
      <li key={bar.label}><Link to="/explore" search={narrow(bar) as never} className="clip">{bar.label || "(empty)"}</Link><span className="meter" aria-hidden="true"><i className="s" ref={(node) => { if (node) node.style.width = `${String((100 * bar.count) / most)}%`; }} /></span><span className="num">{show(bar.count)}</span></li>
    ))}</ul>;
  }
}

function Key({ entity, value, label, none = false, change }: { entity: Entity; value: string; label: string; none?: boolean; change: (key: string) => void }) {
  const [text, setText] = useState("");
  const fields = fieldsOf(entity).filter((field) => field.filter && field.type !== "Boolean" && !SKIPPED.has(field.name));
  const known = fields.some((field) => field.name === value);
  return (
    <>
      <select aria-label={label} value={value} onChange={(event) => { change(event.target.value); }}>
        {none && <option value="">nothing else</option>}
        {!known && value && <option value={value}>{value.replace("@", "")}</option>}
        {fields.map((field) => <option key={field.name} value={field.name}>{titleOf(field)}</option>)}
      </select>
      <form onSubmit={(event) => { event.preventDefault(); if (text.trim()) { change(`@${text.trim()}`); setText(""); } }}><input type="text" className="keyword" aria-label={`${label}: keyword of an element`} placeholder="or a keyword" value={text} onChange={(event) => { setText(event.target.value); }} /></form>
    </>
  );
}

/** A cross table: one question for each row, as many columns as there is room for. */
function Cross({ entity, rows, by, and, filters, link }: { entity: Entity; rows: Bar[]; by: string; and: string; filters: Filter[]; link: (row: Bar, column: Bar) => Record<string, unknown> }) {
  const client = useClient();
  const [cells, setCells] = useState<Value[][] | null>(null);
  const key = JSON.stringify([entity, and, filters, rows.map((row) => row.filters)]);
  useEffect(() => {
    let gone = false;
    const ask = rows.map(async (row) => {
      const filter = toGraphQL([...filters, ...row.filters.map((text) => parseFilter(text, entity))], entity);
      const { data } = await client.query(VALUES, { entity: entity.toUpperCase() as "SERIES", ...asked(and), filter: { [entity]: filter } }).toPromise();
      return (data?.facet ?? []) as Value[];
    });
    void Promise.all(ask).then((found) => { if (!gone) setCells(found); });
    return () => { gone = true; };
    // The key says all that is asked.
  }, [key]);
  if (!cells || cells.length !== rows.length) return <section className="panel"><Loading what="the table" /></section>;
  const sums = new Map<string, Value>();
  for (const value of cells.flat()) { const text = JSON.stringify(value.value); sums.set(text, { value: value.value, count: (sums.get(text)?.count ?? 0) + value.count }); }
  const columns = bars([...sums.values()].sort((a, b) => b.count - a.count), named(entity, and), 12).slice(0, 12);
  const counted = cells.map((row) => { const own = bars(row, named(entity, and), 12); return columns.map((column) => (column.filters.length > 1 ? row.filter((each) => typeof each.value === "number" && each.value >= Number(column.filters[0]?.split(">=")[1]) && each.value < Number(column.filters[1]?.split("<")[1])).reduce((sum, each) => sum + each.count, 0) : own.find((each) => each.label === column.label)?.count ?? 0)); });
  const most = Math.max(1, ...counted.flat());
  return (
    <section className="panel"><header><h2>{titled(entity, by)} by {titled(entity, and)}</h2><div className="end">{PLURAL[entity]} in each cell</div></header>
      <div className="wide" tabIndex={0} role="region" aria-label="Cross table"><table className="cross"><caption className="sr">{titled(entity, by)} by {titled(entity, and)}</caption>
        <colgroup><col width={170} /></colgroup>
        <thead><tr><td />{columns.map((column) => <th key={column.label} scope="col" title={column.label}>{column.label}</th>)}</tr></thead>
        <tbody>{rows.map((row, i) => <tr key={row.label}><th scope="row" title={row.label}>{row.label}</th>{columns.map((column, j) => { const n = counted[i]?.[j] ?? 0; return <td key={column.label} className={n ? `c${String(Math.min(5, Math.ceil((5 * n) / most)))}` : ""}>{n > 0 && <Link to={`/${PLURAL[entity]}` as "/series"} search={link(row, column) as never} aria-label={`${row.label}, ${column.label}: ${String(n)}`}>{show(n)}</Link>}</td>; })}</tr>)}</tbody>
      </table></div>
    </section>
  );
}
