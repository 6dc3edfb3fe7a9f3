import { useState } from "react";
import { DEFAULT_COLUMNS, matchingFields, type Column } from "../lib/columns";
import type { Entity } from "../lib/fields";
import { useElements } from "./completion";
import { Icon } from "./icons";

/** The columns of a table: fields, and any element by keyword, tag, path or creator. */
export function Chooser({ entity, columns, sample, choose, close }: { entity: Entity; columns: Column[]; sample: string | undefined; choose: (keys: string[]) => void; close: () => void }) {
  const [text, setText] = useState("");
  const keys = columns.map((column) => column.key);
  const elements = entity === "series" || entity === "image";
  const offers = text ? matchingFields(entity, text).filter((column) => !keys.includes(column.key)) : [];
  const more = useElements(elements ? text : "", sample).filter((each) => !keys.includes(`@${each.name}`));
  const add = (key: string) => { choose([...keys, key]); setText(""); };
  const first = offers[0]?.key ?? (more[0] ? `@${more[0].name}` : undefined);
  const move = (i: number, by: number) => { const next = [...keys]; const [key] = next.splice(i, 1); if (key) next.splice(Math.max(0, i + by), 0, key); choose(next); };
  return (
    <aside className="chooser" aria-label="Columns">
      <header><h2>Columns</h2><button type="button" className="btn plain icon-only" aria-label="Close" onClick={close}><Icon name="x" /></button></header>
      <form className="add" onSubmit={(event) => { event.preventDefault(); if (first) add(first); }}>
        <input type="search" aria-label="Add a column" placeholder={elements ? "A field, keyword, tag, path or creator" : "A field"} value={text} onChange={(event) => { setText(event.target.value); }} />
        {(offers.length > 0 || more.length > 0) && (
          <ul className="complete">
            {offers.map((column) => <li key={column.key}><button type="button" onClick={() => { add(column.key); }}>{column.title}</button><small>{entity}</small></li>)}
            {more.map((each) => <li key={each.name}><button type="button" className="clip" title={each.name} onClick={() => { add(`@${each.name}`); }}>{each.title}</button><small className="mono clip" title={each.detail}>{each.detail}</small></li>)}
          </ul>
        )}
      </form>
      <ul className="cols">
        {columns.map((column, i) => (
          <li key={column.key}>
            <span className="clip" title={column.key.startsWith("@") ? column.key.slice(1) : column.title}>{column.title}</span><span className="lv">{column.key.startsWith("@") ? "first image" : entity}</span>
            <button type="button" className="x" aria-label={`${column.title} further left`} disabled={i === 0} onClick={() => { move(i, -1); }}>↑</button>
            <button type="button" className="x" aria-label={`Remove ${column.title}`} onClick={() => { choose(keys.filter((key) => key !== column.key)); }}><Icon name="x" /></button>
          </li>
        ))}
      </ul>
      <p className="hint quiet">Kept for your next visit, and in the address. <button type="button" className="link" onClick={() => { choose(DEFAULT_COLUMNS[entity].split(",")); }}>Reset</button></p>
      {elements && <p className="hint quiet">↳ marks a value from inside a sequence of the first image: Enhanced MR keeps TE, TR and flip angle there.</p>}
    </aside>
  );
}
