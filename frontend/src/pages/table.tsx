import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo, useRef, useState } from "react";
import { useClient, useQuery, type TypedDocumentNode } from "urql";
import { at } from "../lib/base";
import { chosenColumns, columnOf, keepColumns } from "../lib/columns";
import type { TableSearch } from "../lib/address";
import { PLURAL, plural, type Entity } from "../lib/fields";
import { formatFilter, parseCondition, parseFilter, toGraphQL, type Filter } from "../lib/filters";
import { COUNTS } from "../lib/rows";
import { useLabels } from "../lib/use-fields";
import { rowsDocument, useRows, wanted, type Question } from "../lib/use-rows";
import { Chips } from "../parts/chips";
import { Chooser } from "../parts/chooser";
import { Code } from "../parts/code";
import { Facets } from "../parts/facets";
import { Grid } from "../parts/grid";
import { Icon } from "../parts/icons";
import { useKeys } from "../parts/keys";
import { Selection } from "../parts/selection";
import { Empty } from "../parts/states";

const TITLES: Record<Entity, string> = { patient: "Patients", study: "Studies", series: "Series", image: "Images" };

export const Patients = () => <Table entity="patient" />;
export const Studies = () => <Table entity="study" />;
export const SeriesTable = () => <Table entity="series" />;
export const Images = () => <Table entity="image" />;

function Table({ entity }: { entity: Entity }) {
  const labelled = useLabels();
  const search: TableSearch = useSearch({ strict: false });
  const navigate = useNavigate();
  const path = `/${PLURAL[entity]}`;
  const go = useCallback((change: Partial<TableSearch>) => { void navigate({ to: path, search: { ...search, ...change } as never, replace: "panel" in change }); }, [navigate, path, search]);
  const filters = useMemo(() => (search.f ?? []).map((text) => parseFilter(text, entity)).filter((filter) => filter.length), [search.f, entity]);
  const change = useCallback((next: Filter[]) => { go({ f: next.map(formatFilter) }); }, [go]);
  const add = useCallback((filter: Filter) => { change([...filters, filter]); }, [change, filters]);
  const columns = useMemo(() => chosenColumns(entity, search.c), [entity, search.c, labelled]);
  const sort = search.s ?? "";
  // Also by what is not shown: a list does what its address says.
  const sorted = columnOf(entity, sort.replace(/^-/, ""));
  const question: Question = {
    filter: toGraphQL(filters, entity),
    search: search.q,
    orderBy: sorted?.order ? [{ ...sorted.order, direction: sort.startsWith("-") ? "DESC" : "ASC" }] : [{ field: "ID", direction: "DESC" }],
  };
  const list = useRows(entity, question, columns);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [all, setAll] = useState(false);
  const [at_, setAt] = useState(-1);
  const anchor = useRef(0);
  const choose = useCallback((uids: Iterable<string>) => { setAll(false); setSelected(new Set(uids)); }, []);
  const toggle = (uid: string, index: number, extend = false) => {
    if (extend) {
      const [from, to] = [Math.min(anchor.current, index), Math.max(anchor.current, index)];
      choose([...selected, ...list.rows.slice(from, to + 1).map((row) => row.uid)]);
      return;
    }
    anchor.current = index;
    const next = new Set(selected);
    if (!next.delete(uid)) next.add(uid);
    choose(next);
  };
  const sortBy = useCallback((key: string) => { setAt(-1); go({ s: sort === key ? `-${key}` : sort === `-${key}` ? undefined : key }); }, [go, sort]);
  const panel = search.panel ?? "";
  const nothing = <NoRows entity={entity} filters={filters} drop={(i) => { change(filters.filter((_, k) => k !== i)); }} />;
  useKeys((event) => {
    const move = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    const row = list.rows[at_];
    if (move && (event.key.length === 1 || document.activeElement?.closest(".grid"))) { event.preventDefault(); setAt(Math.max(0, Math.min(list.rows.length - 1, at_ + move))); }
    else if (event.key === "Enter" && row && (document.activeElement === document.body || document.activeElement?.matches(".grid"))) void navigate({ to: `${path}/$uid` as "/series/$uid", params: { uid: row.uid } });
    else if (event.key === " " && row && !(event.target instanceof HTMLButtonElement)) { event.preventDefault(); toggle(row.uid, at_, event.shiftKey); }
    else if (event.key === "c") go({ panel: panel === "columns" ? undefined : "columns" });
    else if (event.key === ".") go({ panel: panel === "code" ? undefined : "code" });
    else if (event.key === "Escape") { if (panel) go({ panel: undefined }); else choose([]); }
  });
  return (
    <>
      <div className="tool">
        <h1>{TITLES[entity]} <Count entity={entity} loaded={list.rows.length} more={list.more} filter={question.filter} search={search.q} /></h1>
        <Chips entity={entity} filters={filters} change={change} />
        {search.q && <span className="chip"><span className="lvl">words</span><span className="cond">{search.q}</span><button type="button" className="x" aria-label="Remove the words" onClick={() => { go({ q: undefined }); }}><Icon name="x" /></button></span>}
        <div className="actions">
          <button type="button" className="btn only-narrow" aria-label="Narrow" aria-expanded={panel === "facets"} onClick={() => { go({ panel: panel === "facets" ? undefined : "facets" }); }}><Icon name="list" /> <span className="lbl">Narrow</span></button>
          <button type="button" className="btn" aria-label="Columns" aria-expanded={panel === "columns"} onClick={() => { go({ panel: panel === "columns" ? undefined : "columns" }); }}><Icon name="columns" /> <span className="lbl">Columns</span></button>
          <button type="button" className="btn" aria-label="Show as GraphQL" aria-expanded={panel === "code"} onClick={() => { go({ panel: panel === "code" ? undefined : "code" }); }}><Icon name="code" /> <span className="lbl">Show as GraphQL</span></button>
        </div>
      </div>
      <div className={`split ${panel ? "with-panel" : ""} ${panel === "facets" ? "show-facets" : ""}`}>
        <Facets entity={entity} filters={filters} add={add} />
        <Grid entity={entity} title={TITLES[entity]} columns={columns} list={list} sort={sort} current={at_} setCurrent={setAt}
          sortBy={sortBy}
          selected={selected} toggle={toggle} choose={choose} only={(text) => { const made = parseCondition(text, entity); if (made) add([made]); }} nothing={nothing} />
        {panel === "columns" && <Chooser entity={entity} columns={columns} sample={list.rows[0]?.id} close={() => { go({ panel: undefined }); }} choose={(keys) => { const text = keys.join(","); keepColumns(entity, text); go({ c: text }); }} />}
        {panel === "code" && <Code document={rowsDocument(entity)} variables={{ ...question, ...wanted(columns), first: 100 }} close={() => { go({ panel: undefined }); }} />}
      </div>
      {selected.size > 0 && <Selection entity={entity} rows={list.rows.filter((row) => selected.has(row.uid))} all={all} setAll={setAll} clear={() => { choose([]); }} changed={list.again} question={question} columns={columns} loaded={list.rows} more={list.more} />}
    </>
  );
}

function Count({ entity, loaded, more, filter, search }: { entity: Entity; loaded: number; more: boolean; filter: Record<string, unknown> | undefined; search: string | undefined }) {
  const client = useClient();
  const key = JSON.stringify([entity, filter, search]);
  const [counted, setCounted] = useState<{ key: string; n: number } | null>(null);
  if (!more) return <span>{loaded.toLocaleString("en")}</span>;
  if (counted?.key === key) return <span>{counted.n.toLocaleString("en")}</span>;
  const count = async () => {
    const document = COUNTS[entity] as unknown as TypedDocumentNode<{ rows: { totalCount: number } | null }, Record<string, unknown>>;
    const { data } = await client.query(document, { filter, search }).toPromise();
    if (data?.rows) setCounted({ key, n: data.rows.totalCount });
  };
  return <span>{loaded.toLocaleString("en")}+ <button type="button" className="btn plain small" onClick={() => { void count(); }}>Count</button></span>;
}

function NoRows({ entity, filters, drop }: { entity: Entity; filters: Filter[]; drop: (index: number) => void }) {
  if (filters.length === 0) return <Empty title={`No ${TITLES[entity].toLowerCase()} yet`}><p>Import a folder, or drop files on the page of imports.</p><a className="btn primary" href={at("/imports")}>Imports</a></Empty>;
  return (
    <Empty title={`No ${TITLES[entity].toLowerCase()} match`}>
      <p>{filters.length > 1 ? "Each filter alone may match; without one of them there would be:" : "Without the filter there would be:"}</p>
      <ul>{filters.map((filter, i) => <Without key={i} entity={entity} filter={filter} rest={filters.filter((_, k) => k !== i)} drop={() => { drop(i); }} />)}</ul>
    </Empty>
  );
}

function Without({ entity, filter, rest, drop }: { entity: Entity; filter: Filter; rest: Filter[]; drop: () => void }) {
  const document = COUNTS[entity] as unknown as TypedDocumentNode<{ rows: { totalCount: number } | null }, Record<string, unknown>>;
  const [{ data }] = useQuery({ query: document, variables: { filter: toGraphQL(rest, entity) } });
  return <li><span>without <b>{formatFilter(filter)}</b></span><span className="quiet">{data?.rows ? plural(data.rows.totalCount, TITLES[entity].toLowerCase(), TITLES[entity].toLowerCase()) : "…"}</span><button type="button" className="btn small" onClick={drop}>Remove</button></li>;
}
