import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useQuery } from "urql";
import { textOf, type TableSearch } from "../lib/address";
import { at } from "../lib/base";
import { barOf, barsOf, isOrdered, type Bar, type Cut, type Group } from "../lib/bins";
import { inWords, ENTITIES, fieldOf, fieldsOf, PLURAL, plural, show, titleOf, type Entity } from "../lib/fields";
import { formatFilter, parseFilter, toGraphQL, type Filter } from "../lib/filters";
import { useLabels } from "../lib/use-fields";
import { useCut, useGroups } from "../lib/use-groups";
import { rowsDocument, type Row } from "../lib/use-rows";
import { Chips } from "../parts/chips";
import { Code } from "../parts/code";
import { useElements } from "../parts/completion";
import { Icon } from "../parts/icons";
import { useKeys } from "../parts/keys";
import { Picture } from "../parts/picture";
import { Failure, Loading } from "../parts/states";

const SKIPPED = new Set(["uid", "created", "modified", "datetime", "latestStudyTime"]);
const ROWS_SHOWN = 16, COLUMNS_SHOWN = 14;

const named = (entity: Entity, key: string) => (key.startsWith("@") ? `header.${key.slice(1)}` : `${entity}.${key}`);
function titled(entity: Entity, key: string): string {
  if (key.startsWith("@")) return inWords(key.slice(1).split(".").at(-1) ?? key);
  const field = fieldOf(entity, key);
  return field ? titleOf(field) + (field.unit ? ` (${field.unit})` : "") : key;
}

/** Counts by one key, or by two; a click on one shows what it counts. */
export function Explore() {
  useLabels();
  const search: TableSearch = useSearch({ strict: false });
  const navigate = useNavigate();
  const given = textOf(search, "of");
  const entity: Entity = ENTITIES.find((each) => each === given) ?? "series";
  const by = textOf(search, "by") || ({ patient: "sex", study: "date", series: "modality", image: "rows" } as const)[entity];
  const and = textOf(search, "and");
  const panel = textOf(search, "panel");
  const picked = Array.isArray(search["pick"]) ? (search["pick"] as string[]) : [];
  const filters = (search.f ?? []).map((text) => parseFilter(text, entity)).filter((filter) => filter.length);
  const set = (change: Record<string, unknown>) => { void navigate({ to: "/explore", search: { ...search, ...change } as never }); };
  useKeys((event) => { if (event.key === ".") set({ panel: panel ? undefined : "code" }); else if (event.key === "Escape") set({ panel: undefined, pick: undefined }); });
  const filter = toGraphQL(filters, entity);
  const one = useCut(entity, by, filter), two = useCut(entity, and, filter);
  const single = useGroups(entity, [{ key: by, cut: one.cut }], filter, 500);
  const error = one.error ?? single.error;
  const made = single.groups ? barsOf(single.groups, named(entity, by), one.cut ?? {}) : [];
  const total = made.reduce((sum, bar) => sum + bar.count, 0);
  const none = made.find((bar) => bar.label === "none")?.count ?? 0;
  const link = (texts: string[]) => ({ ...search, pick: texts });
  const isPicked = (texts: string[]) => JSON.stringify(texts) === JSON.stringify(picked);
  const side = panel === "code" || picked.length > 0;
  return (
    <div className="page">
      <div className="head"><div className="grow"><h1>Explore</h1></div><div className="actions">
        <button type="button" className="btn" onClick={() => { void navigator.clipboard.writeText(location.href); }}><Icon name="list" /> Copy address</button>
        {made.length > 0 && <a className="btn" download={`${by}.csv`} href={`data:text/csv;charset=utf-8,${encodeURIComponent(csvOf(made, titled(entity, by)))}`}><Icon name="down" /> CSV</a>}
        <button type="button" className="btn" aria-expanded={panel === "code"} onClick={() => { set({ panel: panel ? undefined : "code" }); }}><Icon name="code" /> Show as GraphQL</button>
      </div></div>
      <div className={side ? "explore" : "explore one"}>
        <div className="col">
          <section className="panel">
            <div className="keys">
              <span className="muted">Count</span>
              <span className="seg" role="group" aria-label="What is counted">{ENTITIES.map((each) => <button key={each} type="button" aria-pressed={each === entity} onClick={() => { set({ of: each, by: undefined, and: undefined, f: undefined, pick: undefined }); }}>{PLURAL[each]}</button>)}</span>
              <span className="muted">by</span><Key entity={entity} value={by} label="By" change={(key) => { set({ by: key, pick: undefined }); }} />
              <span className="muted">and</span><Key entity={entity} value={and} label="And by" none change={(key) => { set({ and: key || undefined, pick: undefined }); }} />
              {and && <button type="button" className="btn plain icon-only" aria-label="Change places" onClick={() => { set({ by: and, and: by, pick: undefined }); }}>⇄</button>}
            </div>
            <div className="keys"><span className="muted">where</span><Chips entity={entity} filters={filters} change={(next: Filter[]) => { set({ f: next.map(formatFilter), pick: undefined }); }} /></div>
          </section>
          <section className="panel"><header><h2>{titled(entity, by)}</h2><div className="end">{show(total - none)} of {plural(total, entity, PLURAL[entity])}{none > 0 && `; ${show(none)} ${none === 1 ? "has" : "have"} none`}{single.total > made.length && !one.cut?.width && `; the most frequent of ${show(single.total)} values`}</div></header>
            {error ? <Failure error={error} again={() => { single.again({ requestPolicy: "network-only" }); }} /> : !single.groups ? <Loading what="counts" /> : made.length === 0 ? <p className="hint quiet">None of them has a value.</p>
              : <Plot bars={made} upright={isOrdered(single.groups)} link={link} isPicked={isPicked} />}
          </section>
          {and && single.groups && made.length > 0 && <Cross entity={entity} by={by} and={and} cuts={[one.cut, two.cut]} filter={filter} link={link} isPicked={isPicked} />}
        </div>
        {side && <div className="col">
          {picked.length > 0 && <Picked entity={entity} texts={[...(search.f ?? []), ...picked]} close={() => { set({ pick: undefined }); }} narrow={() => { set({ f: [...(search.f ?? []), ...picked], pick: undefined }); }} />}
          {panel === "code" && <div className="panel inline-code"><Code document={single.document as never} variables={single.variables} close={() => { set({ panel: undefined }); }} /></div>}
        </div>}
      </div>
    </div>
  );
}

const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const csvOf = (made: readonly Bar[], title: string) => `${quoted(title)},count\n${made.map((bar) => `${quoted(bar.label)},${String(bar.count)}`).join("\n")}\n`;

interface Links { link: (texts: string[]) => Record<string, unknown>; isPicked: (texts: string[]) => boolean }

function Plot({ bars: list, upright, link, isPicked }: { bars: Bar[]; upright: boolean } & Links) {
  const most = Math.max(1, ...list.map((bar) => bar.count));
  if (upright) {
    return <ul className="columns-plot tall">{list.map((bar) => (
      <li key={bar.label}><Link to="/explore" search={link(bar.filters) as never} aria-current={isPicked(bar.filters) ? "true" : undefined} aria-label={`${bar.label}: ${String(bar.count)}`}><span className="n">{bar.count ? show(bar.count) : ""}</span><i ref={(node) => { if (node) node.style.height = `${String((130 * bar.count) / most)}px`; }} /><span className="clip">{bar.label}</span></Link></li>
    ))}</ul>;
  }
  return <ul className="bars long">{list.slice(0, 40).map((bar) => (
    <li key={bar.label}><Link to="/explore" search={link(bar.filters) as never} aria-current={isPicked(bar.filters) ? "true" : undefined} className="clip">{bar.label || "(empty)"}</Link><span className="meter" aria-hidden="true"><i className="s" ref={(node) => { if (node) node.style.width = `${String((100 * bar.count) / most)}%`; }} /></span><span className="num">{show(bar.count)}</span></li>
  ))}</ul>;
}

/** What to count by: a field, or any element, with completion. */
function Key({ entity, value, label, none = false, change }: { entity: Entity; value: string; label: string; none?: boolean; change: (key: string) => void }) {
  const [text, setText] = useState("");
  const [typing, setTyping] = useState(false);
  const offers = useElements(typing ? text : "", undefined).slice(0, 8);
  const fields = fieldsOf(entity).filter((field) => field.filter && field.type !== "Boolean" && !SKIPPED.has(field.name));
  const known = fields.some((field) => field.name === value);
  const take = (name: string) => { change(`@${name}`); setText(""); setTyping(false); };
  return (
    <>
      <select aria-label={label} value={value} onChange={(event) => { change(event.target.value); }}>
        {none && <option value="">nothing else</option>}
        {!known && value && <option value={value}>{titled(entity, value)}</option>}
        {fields.map((field) => <option key={field.name} value={field.name}>{titleOf(field)}</option>)}
      </select>
      {entity !== "patient" && entity !== "study" && (
        <form className="any-key" onSubmit={(event) => { event.preventDefault(); const name = offers[0]?.name ?? text.trim(); if (name) take(name); }}>
          <input type="text" className="keyword" aria-label={`${label}: any element`} placeholder="or any element" value={text} onFocus={() => { setTyping(true); }} onChange={(event) => { setText(event.target.value); setTyping(true); }} onKeyDown={(event) => { if (event.key === "Escape") setTyping(false); }} />
          {typing && offers.length > 0 && <ul className="complete">{offers.map((each) => <li key={each.name}><button type="button" onClick={() => { take(each.name); }}>{each.title}</button><small className="mono">{each.detail}</small></li>)}</ul>}
        </form>
      )}
    </>
  );
}

/** A cross table: one question for all cells. */
function Cross({ entity, by, and, cuts, filter, link, isPicked }: { entity: Entity; by: string; and: string; cuts: readonly (Cut | undefined)[]; filter: Record<string, unknown> | undefined } & Links) {
  const [first, second] = cuts;
  const { groups, error } = useGroups(entity, [{ key: by, cut: first }, { key: and, cut: second }], filter, 10_000);
  if (error) return <section className="panel"><Failure error={error} /></section>;
  if (!groups || !first || !second) return <section className="panel"><Loading what="the table" /></section>;
  const names = [named(entity, by), named(entity, and)] as const;
  const allRows = barsOf(groups, names[0], first, 0), allColumns = barsOf(groups, names[1], second, 1);
  const rows = allRows.slice(0, ROWS_SHOWN), columns = allColumns.slice(0, COLUMNS_SHOWN);
  const cellKey = (row: string, column: string) => JSON.stringify([row, column]);
  const cells = new Map<string, number>();
  for (const group of groups as Group[]) {
    const key = cellKey(barOf(names[0], group.keys[0] ?? {}, first, 0).label, barOf(names[1], group.keys[1] ?? {}, second, 0).label);
    cells.set(key, (cells.get(key) ?? 0) + group.count);
  }
  const most = Math.max(1, ...cells.values());
  const hidden = [allRows.length > rows.length && `${plural(allRows.length - rows.length, "row")}`, allColumns.length > columns.length && plural(allColumns.length - columns.length, "column")].filter(Boolean).join(" and ");
  return (
    <section className="panel"><header><h2>{titled(entity, by)} by {titled(entity, and)}</h2><div className="end">{PLURAL[entity]} in each cell{hidden && `; ${hidden} more`}</div></header>
      <div className="wide" tabIndex={0} role="region" aria-label="Cross table"><table className="cross"><caption className="sr">{titled(entity, by)} by {titled(entity, and)}</caption>
        <colgroup><col width={170} /></colgroup>
        <thead><tr><td />{columns.map((column) => <th key={column.label} scope="col" title={column.label} className="clip">{column.label}</th>)}<th scope="col" className="sum">all</th></tr></thead>
        <tbody>{rows.map((row) => <tr key={row.label}><th scope="row" className="clip" title={row.label}>{row.label}</th>{columns.map((column) => {
          const n = cells.get(cellKey(row.label, column.label)) ?? 0, texts = [...row.filters, ...column.filters];
          return <td key={column.label} className={n ? `c${String(Math.min(5, Math.ceil((5 * n) / most)))}` : "c0"}>{n > 0 && <Link to="/explore" search={link(texts) as never} aria-current={isPicked(texts) ? "true" : undefined} aria-label={`${row.label}, ${column.label}: ${String(n)}`}>{show(n)}</Link>}</td>;
        })}<td className="sum">{show(row.count)}</td></tr>)}
        <tr><th scope="row" className="sum">all</th>{columns.map((column) => <td key={column.label} className="sum">{show(column.count)}</td>)}<td className="sum"><b>{show(allRows.reduce((sum, row) => sum + row.count, 0))}</b></td></tr></tbody>
      </table></div>
    </section>
  );
}

const titleOfRow = (entity: Entity, row: Row): string => {
  const text = (name: string) => (typeof row[name] === "string" ? row[name] : "");
  const number = typeof row["number"] === "number" ? `#${String(row["number"])} ` : "";
  return entity === "patient" ? text("fullName") || row.uid : `${number}${text("description") || text("protocolName") || text("date")}`;
};

/** What a bar or a cell counts: pictures, and the ways on. */
function Picked({ entity, texts, close, narrow }: { entity: Entity; texts: string[]; close: () => void; narrow: () => void }) {
  const filters = texts.map((text) => parseFilter(text, entity));
  const [{ data, error }] = useQuery({ query: rowsDocument(entity), variables: { filter: toGraphQL(filters, entity), first: 12, orderBy: [{ field: "ID", direction: "DESC" }], ...(entity === "study" ? { date: true } : {}) } });
  const rows = data?.rows?.nodes ?? [];
  const series = (row: Row) => (entity === "series" ? { uid: row.uid, modality: row["modality"] as string | null } : (row["picture"] as { nodes: { uid: string; modality: string | null }[] } | undefined)?.nodes[0]);
  return (
    <section className="panel"><header><h2>{data?.rows ? `${show(rows.length)}${data.rows.pageInfo.hasNextPage ? "+" : ""} ${PLURAL[entity]}` : "…"}</h2><div className="end">
      <Link className="btn small" to={`/${PLURAL[entity]}` as "/series"} search={{ f: texts } as never}>Open as table</Link>
      <button type="button" className="btn small" onClick={narrow}>Only these</button>
      <button type="button" className="btn plain icon-only" aria-label="Close" onClick={close}><Icon name="x" /></button>
    </div></header>
      <ul className="picked-filters">{texts.map((text) => <li key={text} className="mono">{text}</li>)}</ul>
      {error && <Failure error={error} />}
      <ul className="cards small">{rows.map((row) => {
        const shown = series(row);
        return <li key={row.id}><a className="card" href={at(`/${PLURAL[entity]}/${encodeURIComponent(row.uid)}`)}>{entity === "image" ? <Picture kind="images" uid={row.uid} label="" size={82} /> : shown ? <Picture kind="series" uid={shown.uid} label={shown.modality ?? ""} size={82} /> : <span className="thumb none">–</span>}<span className="clip">{titleOfRow(entity, row)}</span></a></li>;
      })}</ul>
    </section>
  );
}
