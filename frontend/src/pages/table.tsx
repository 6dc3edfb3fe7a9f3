import { useNavigate, useSearch } from "@tanstack/react-router";
import { flexRender, getCoreRowModel, useReactTable, type ColumnDef } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { useClient, useQuery, type TypedDocumentNode } from "urql";
import { at } from "../lib/base";
import { chosenColumns, keepColumns, type Column } from "../lib/columns";
import type { TableSearch } from "../lib/address";
import { PLURAL, plural, type Entity } from "../lib/fields";
import { formatFilter, parseCondition, parseFilter, toGraphQL, type Filter } from "../lib/filters";
import { COUNTS, ROWS } from "../lib/rows";
import { useLabels } from "../lib/use-fields";
import { useRows, type Row } from "../lib/use-rows";
import { Chips } from "../parts/chips";
import { Chooser } from "../parts/chooser";
import { Code } from "../parts/code";
import { Facets } from "../parts/facets";
import { Icon } from "../parts/icons";
import { useKeys } from "../parts/keys";
import { Picture } from "../parts/picture";
import { Selection } from "../parts/selection";
import { Empty, Failure, Loading } from "../parts/states";

const TITLES: Record<Entity, string> = { patient: "Patients", study: "Studies", series: "Series", image: "Images" };

export const Patients = () => <Table entity="patient" />;
export const Studies = () => <Table entity="study" />;
export const SeriesTable = () => <Table entity="series" />;
export const Images = () => <Table entity="image" />;

interface Named { uid: string; fullName?: string | null; description?: string | null; number?: number | null; modality?: string | null; date?: string | null }
const first = (row: Row, name: string): Named | undefined => (row[name] as { nodes: Named[] } | undefined)?.nodes[0];

/** The two lines that say what a row is. */
function naming(entity: Entity, row: Row): [string, string] {
  const text = (name: string) => (typeof row[name] === "string" ? row[name] : "");
  const patient = row["patient"] as Named | null | undefined;
  const number = typeof row["number"] === "number" ? `#${String(row["number"])}` : "";
  switch (entity) {
    case "patient": return [text("fullName") || row.uid, text("fullName") ? row.uid : ""];
    case "study": return [text("description") || "(no description)", first(row, "patients")?.fullName ?? first(row, "patients")?.uid ?? ""];
    case "series": return [text("description") || text("protocolName") || "(no description)", [patient?.fullName ?? patient?.uid, number].filter(Boolean).join(" · ")];
    case "image": {
      const series = row["series"] as Named | null | undefined;
      return [number ? `Image ${number}` : "Image", [patient?.fullName ?? patient?.uid, series?.description].filter(Boolean).join(" · ")];
    }
  }
}

function pictureOf(entity: Entity, row: Row) {
  if (entity === "image") return <Picture kind="images" uid={row.uid} label="" />;
  const series = entity === "series" ? (row as unknown as Named) : first(row, "picture");
  return series ? <Picture key={series.uid} kind="series" uid={series.uid} label={series.modality ?? ""} /> : <span className="thumb none">–</span>;
}

function Table({ entity }: { entity: Entity }) {
  const labelled = useLabels();
  const search: TableSearch = useSearch({ strict: false });
  const navigate = useNavigate();
  const path = `/${PLURAL[entity]}`;
  const go = (change: Partial<TableSearch>) => { void navigate({ to: path, search: { ...search, ...change } as never, replace: "panel" in change }); };
  const filters = useMemo(() => (search.f ?? []).map((text) => parseFilter(text, entity)).filter((filter) => filter.length), [search.f, entity]);
  const change = (next: Filter[]) => { go({ f: next.map(formatFilter) }); };
  const columns = useMemo(() => chosenColumns(entity, search.c), [entity, search.c, labelled]);
  const sort = search.s ?? "";
  const sorted = columns.find((column) => column.key === sort.replace(/^-/, ""));
  const elements = columns.filter((column) => column.element);
  const question = {
    filter: toGraphQL(filters, entity),
    search: search.q,
    orderBy: sorted?.order ? [{ ...sorted.order, direction: sort.startsWith("-") ? "DESC" : "ASC" }] : [{ field: "ID", direction: "DESC" }],
    names: elements.map((column) => column.key.slice(1)),
    keys: elements.map((column) => column.element ?? {}),
    withElements: elements.length > 0,
  };
  const list = useRows(entity, question);
  const asked = Object.fromEntries(Object.entries({ ...question, first: 100 }).filter(([name]) => name !== "names" && (elements.length > 0 || name !== "keys" || entity === "series" || entity === "image")));
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [all, setAll] = useState(false);
  const [at_, setAt] = useState(0);
  const anchor = useRef(0);
  const choose = (uids: Iterable<string>) => { setAll(false); setSelected(new Set(uids)); };
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
  const panel = search.panel ?? "";
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
        <Facets entity={entity} filters={filters} add={(filter) => { change([...filters, filter]); }} />
        <Grid entity={entity} columns={columns} list={list} sort={sort} current={at_} setCurrent={setAt}
          sortBy={(key) => { go({ s: sort === key ? `-${key}` : sort === `-${key}` ? undefined : key }); }}
          selected={selected} toggle={toggle} choose={choose} filters={filters} only={(text) => { const made = parseCondition(text, entity); if (made) change([...filters, [made]]); }} drop={(i) => { change(filters.filter((_, k) => k !== i)); }} />
        {panel === "columns" && <Chooser entity={entity} columns={columns} sample={list.rows[0]?.id} close={() => { go({ panel: undefined }); }} choose={(keys) => { const text = keys.join(","); keepColumns(entity, text); go({ c: text }); }} />}
        {panel === "code" && <Code document={ROWS[entity] as unknown as TypedDocumentNode<unknown, never>} variables={asked} close={() => { go({ panel: undefined }); }} />}
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

interface GridProps {
  entity: Entity; columns: Column[]; list: ReturnType<typeof useRows>; sort: string; sortBy: (key: string) => void;
  selected: ReadonlySet<string>; toggle: (uid: string, index: number, extend?: boolean) => void; choose: (uids: Iterable<string>) => void; filters: Filter[]; only: (text: string) => void; drop: (index: number) => void;
  current: number; setCurrent: (index: number) => void;
}

function Grid({ entity, columns, list, sort, sortBy, selected, toggle, choose, filters, only, drop, current, setCurrent }: GridProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const navigate = useNavigate();
  const narrow = useNarrow();
  const definitions = useMemo<ColumnDef<Row>[]>(() => columns.map((column) => ({ id: column.key, accessorFn: column.text, size: column.width })), [columns]);
  const table = useReactTable({ data: list.rows, columns: definitions, getCoreRowModel: getCoreRowModel(), getRowId: (row) => row.id });
  const rows = table.getRowModel().rows;
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => (narrow ? 76 : 40), overscan: 12 });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => { if (list.more && last > rows.length - 30) list.next(); }, [last, rows.length, list]);
  useEffect(() => { virtual.measure(); }, [narrow, virtual]);
  useEffect(() => { if (current > 0) virtual.scrollToIndex(current); }, [current, virtual]);
  const spare = { before: items[0]?.start ?? 0, after: virtual.getTotalSize() - (items.at(-1)?.end ?? 0) };
  const open = (row: Row) => { void navigate({ to: `/${PLURAL[entity]}/$uid` as "/series/$uid", params: { uid: row.uid } }); };
  const span = columns.length + 3;
  return (
    <div className="grid" ref={scroller} tabIndex={0} role="region" aria-label={TITLES[entity]}>
      <table className={`pics ${list.old && rows.length ? "dim" : ""}`} aria-rowcount={list.more ? -1 : rows.length + 1} aria-busy={list.busy}>
        <caption className="sr">{TITLES[entity]}</caption>
        <colgroup><col width={34} /><col width={50} /><col width={260} />{columns.map((column) => <col key={column.key} width={column.width} />)}</colgroup>
        <thead><tr aria-rowindex={1}>
          <th className="c-sel"><input type="checkbox" aria-label="Select all that are loaded" checked={rows.length > 0 && selected.size === rows.length} ref={(node) => { if (node) node.indeterminate = selected.size > 0 && selected.size < rows.length; }} onChange={() => { choose(selected.size === rows.length ? [] : rows.map((row) => row.original.uid)); }} /></th><th><span className="sr">Picture</span></th><th>{TITLES[entity]}</th>
          {columns.map((column) => {
            const down = sort === `-${column.key}`, up = sort === column.key;
            return (
              <th key={column.key} className={column.numeric ? "num" : ""} {...(up || down ? { "aria-sort": up ? "ascending" as const : "descending" as const } : {})}>
                {column.order ? <button type="button" className="sort" title={column.title} onClick={() => { sortBy(column.key); }}>{column.short} {column.unit && <small>{column.unit}</small>} {up ? "↑" : down ? "↓" : ""}</button> : column.title}
              </th>
            );
          })}
        </tr></thead>
        <tbody>
          {spare.before > 0 && <tr className="spare"><td colSpan={span} style={{ height: spare.before }} /></tr>}
          {items.map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            const [title, detail] = naming(entity, row.original);
            const chosen = selected.has(row.original.uid);
            return (
              <tr key={row.id} aria-rowindex={item.index + 2} aria-selected={chosen} className={item.index === current && current > 0 ? "is-focus" : ""} onClick={(event) => { setCurrent(item.index); if (!(event.target as HTMLElement).closest("a,button,input")) open(row.original); }}>
                <td className="c-sel"><input type="checkbox" checked={chosen} aria-label={`Select ${title}`} onClick={(event) => { toggle(row.original.uid, item.index, event.shiftKey); }} onChange={() => undefined} /></td>
                <td className="c-pic">{pictureOf(entity, row.original)}</td>
                <td className="c-ser two"><div className="clip"><a href={at(`/${PLURAL[entity]}/${encodeURIComponent(row.original.uid)}`)} onClick={(event) => { if (!event.ctrlKey && !event.metaKey) { event.preventDefault(); open(row.original); } }}>{title}</a></div><div className="clip">{detail}</div></td>
                {narrow
                  ? <td className="c-nar clip">{columns.map((column) => column.text(row.original) && `${column.text(row.original)}${column.unit ? ` ${column.unit}` : ""}`).filter(Boolean).slice(0, 4).join(" · ")}</td>
                  : row.getVisibleCells().map((cell, i) => {
                      const column = columns[i];
                      const text = String(cell.getValue() ?? "");
                      return (
                        <td key={cell.id} className={column?.numeric ? "num" : ""} title={text.length > 14 ? text : undefined}>
                          {column?.filter && text
                            ? <span className="cell">{flexRender(text, {})}<span className="acts"><button type="button" className="link" tabIndex={-1} aria-label={`only ${text}`} onClick={() => { only(`${column.filter ?? ""}=${column.raw(row.original)}`); }}>only</button><button type="button" className="link" tabIndex={-1} aria-label={`not ${text}`} onClick={() => { only(`!${column.filter ?? ""}=${column.raw(row.original)}`); }}>not</button></span></span>
                            : text || <span className="nil">–</span>}
                        </td>
                      );
                    })}
              </tr>
            );
          })}
          {spare.after > 0 && <tr className="spare"><td colSpan={span} style={{ height: spare.after }} /></tr>}
        </tbody>
      </table>
      {list.error && <div className="page"><Failure error={list.error} again={list.again} /></div>}
      {!list.error && rows.length === 0 && (list.busy ? <Loading what={TITLES[entity].toLowerCase()} /> : <NoRows entity={entity} filters={filters} drop={drop} />)}
    </div>
  );
}

function NoRows({ entity, filters, drop }: { entity: Entity; filters: Filter[]; drop: (index: number) => void }) {
  if (filters.length === 0) return <Empty title={`No ${TITLES[entity].toLowerCase()} yet`}><p>Import a folder, or drop files on the page of imports.</p><a className="btn primary" href={at("/imports")}>Imports</a></Empty>;
  return (
    <Empty title={`No ${TITLES[entity].toLowerCase()} match`}>
      <p>Each filter alone may match; without one of them there would be:</p>
      <ul>{filters.map((filter, i) => <Without key={i} entity={entity} filter={filter} rest={filters.filter((_, k) => k !== i)} drop={() => { drop(i); }} />)}</ul>
    </Empty>
  );
}

function Without({ entity, filter, rest, drop }: { entity: Entity; filter: Filter; rest: Filter[]; drop: () => void }) {
  const document = COUNTS[entity] as unknown as TypedDocumentNode<{ rows: { totalCount: number } | null }, Record<string, unknown>>;
  const [{ data }] = useQuery({ query: document, variables: { filter: toGraphQL(rest, entity) } });
  return <li><span>without <b>{formatFilter(filter)}</b></span><span className="quiet">{data?.rows ? plural(data.rows.totalCount, TITLES[entity].toLowerCase(), TITLES[entity].toLowerCase()) : "…"}</span><button type="button" className="btn small" onClick={drop}>Remove</button></li>;
}

function useNarrow(): boolean {
  const query = useMemo(() => window.matchMedia("(max-width: 720px)"), []);
  const [narrow, setNarrow] = useState(query.matches);
  useEffect(() => { const listen = () => { setNarrow(query.matches); }; query.addEventListener("change", listen); return () => { query.removeEventListener("change", listen); }; }, [query]);
  return narrow;
}
