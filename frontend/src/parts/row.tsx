import { memo, useState } from "react";
import { at } from "../lib/base";
import type { Column } from "../lib/columns";
import { PLURAL, type Entity } from "../lib/fields";
import type { Row } from "../lib/use-rows";
import { Picture } from "./picture";

interface Named { uid: string; fullName?: string | null; description?: string | null; modality?: string | null; patient?: Named | null }
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
      return [number ? `Image ${number}` : "Image", [series?.patient?.fullName ?? series?.patient?.uid, series?.description].filter(Boolean).join(" · ")];
    }
  }
}

function pictureOf(entity: Entity, row: Row) {
  if (entity === "image") return <Picture kind="images" uid={row.uid} label="" />;
  const series = entity === "series" ? (row as unknown as Named) : first(row, "picture");
  return series ? <Picture kind="series" uid={series.uid} label={series.modality ?? ""} /> : <span className="thumb none">–</span>;
}

/** What can be done with a row; the same object as long as the table is there. */
export interface RowActions {
  open: (row: Row) => void;
  toggle: (uid: string, index: number, extend?: boolean) => void;
  /** Narrows the list by a condition as it is typed. */
  only: (text: string) => void;
  setCurrent: (index: number) => void;
}
interface Props {
  entity: Entity; row: Row; index: number; columns: readonly Column[];
  narrow: boolean; isChosen: boolean; isCurrent: boolean; act: RowActions;
}

/** A row of a table. Drawn again only when something of it changed: dozens are there while the table is scrolled. */
export const TableRow = memo(function TableRow({ entity, row, index, columns, narrow, isChosen, isCurrent, act }: Props) {
  const [isNear, setNear] = useState(false);
  const [title, detail] = naming(entity, row);
  const isGone = !!row["missingSince"];
  return (
    <tr
      aria-rowindex={index + 2} aria-selected={isChosen} className={isCurrent ? (isGone ? "is-focus gone" : "is-focus") : isGone ? "gone" : undefined}
      onPointerEnter={() => { setNear(true); }} onPointerLeave={() => { setNear(false); }}
      onClick={(event) => { act.setCurrent(index); if (!(event.target as HTMLElement).closest("a,button,input")) act.open(row); }}
    >
      <td className="c-sel"><input type="checkbox" checked={isChosen} aria-label={`Select ${title}`} onClick={(event) => { act.toggle(row.uid, index, event.shiftKey); }} onChange={() => undefined} /></td>
      <td className="c-pic">{pictureOf(entity, row)}</td>
      <td className="c-ser two">
        <div className="clip"><a href={at(`/${PLURAL[entity]}/${encodeURIComponent(row.uid)}`)} onClick={(event) => { if (!event.ctrlKey && !event.metaKey && !event.shiftKey) { event.preventDefault(); act.open(row); } }}>{title}</a></div>
        <div className="clip">{detail}{isGone && <span className="tag">file missing</span>}</div>
      </td>
      {narrow
        ? <td className="c-nar clip">{inOneLine(columns, row)}</td>
        : columns.map((column) => <Cell key={column.key} column={column} row={row} act={isNear || isCurrent ? act : null} />)}
    </tr>
  );
});

function inOneLine(columns: readonly Column[], row: Row): string {
  const texts = columns.map((column) => { const text = column.text(row); return text && column.unit ? `${text} ${column.unit}` : text; });
  return texts.filter(Boolean).slice(0, 4).join(" · ");
}

/** A value, and while its row is pointed at or current, the ways to narrow by it. */
function Cell({ column, row, act }: { column: Column; row: Row; act: RowActions | null }) {
  const text = column.text(row);
  const shown = text || <span className="nil">–</span>;
  return (
    <td className={column.numeric ? "num" : undefined} title={text.length > 14 ? text : undefined}>
      {act && text && column.filter
        ? <span className="cell"><span className="clip">{shown}</span><span className="acts">
            <button type="button" className="link" aria-label={`only ${text}`} onClick={() => { act.only(`${column.filter ?? ""}=${column.raw(row)}`); }}>only</button>
            <button type="button" className="link" aria-label={`not ${text}`} onClick={() => { act.only(`!${column.filter ?? ""}=${column.raw(row)}`); }}>not</button>
          </span></span>
        : shown}
    </td>
  );
}
