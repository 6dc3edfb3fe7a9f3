import { useNavigate } from "@tanstack/react-router";
import { useReactTable, type ColumnDef } from "@tanstack/react-table";
import { defaultRangeExtractor, useVirtualizer } from "@tanstack/react-virtual";
import { Fragment, memo, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from "react";
import type { Column } from "../lib/columns";
import { PLURAL, type Entity } from "../lib/fields";
import { growingRows } from "../lib/growing-rows";
import type { Row, useRows } from "../lib/use-rows";
import { TableRow, type RowActions } from "./row";
import { Failure, Loading } from "./states";

/** Rows from the end at which the next page is asked for. */
const AHEAD = 70;
const ROW_PX = 40, CARD_PX = 76;

interface Props {
  entity: Entity; title: string; columns: readonly Column[]; list: ReturnType<typeof useRows>;
  sort: string; sortBy: (key: string) => void;
  selected: ReadonlySet<string>; toggle: RowActions["toggle"]; choose: (uids: Iterable<string>) => void;
  only: (text: string) => void; current: number; setCurrent: (index: number) => void;
  /** What stands in the place of rows, where there are none. */
  nothing: ReactNode;
}

/** A table that is scrolled without an end: only what is on screen, and somewhat more, is drawn. */
export function Grid({ entity, title, columns, list, sort, sortBy, selected, toggle, choose, only, current, setCurrent, nothing }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const navigate = useNavigate();
  const narrow = useNarrow();
  const definitions = useMemo<ColumnDef<Row>[]>(() => columns.map((column) => ({ id: column.key, accessorFn: column.text, size: column.width })), [columns]);
  const getCoreRowModel = useMemo(() => growingRows(), []);
  const table = useReactTable({ data: list.rows, columns: definitions, getCoreRowModel });
  const rows = table.getCoreRowModel().rows;
  const rangeExtractor = useCallback((range: Parameters<typeof defaultRangeExtractor>[0]) => {
    const indexes = defaultRangeExtractor(range);
    // The current row stays, wherever the table is scrolled to.
    if (current >= 0 && current < range.count && !indexes.includes(current)) return [...indexes, current].sort((a, b) => a - b);
    return indexes;
  }, [current]);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => (narrow ? CARD_PX : ROW_PX), overscan: 8, rangeExtractor, useScrollendEvent: true });
  const items = virtual.getVirtualItems();
  const last = virtual.range?.endIndex ?? 0;
  const { more, next } = list;
  useEffect(() => { if (more && last > rows.length - AHEAD) next(); }, [last, rows.length, more, next]);
  useEffect(() => { virtual.measure(); }, [narrow, virtual]);
  useEffect(() => { if (current >= 0) virtual.scrollToIndex(current); }, [current, virtual]);
  useEffect(() => { if (virtual.scrollOffset) virtual.scrollToOffset(0); }, [sort, virtual]);
  const act = useActions({
    open: (row) => { void navigate({ to: `/${PLURAL[entity]}/$uid` as "/series/$uid", params: { uid: row.uid } }); },
    toggle, only, setCurrent,
  });
  const span = columns.length + 3;
  let end = 0;
  return (
    <div className="grid" ref={scroller} tabIndex={0} role="region" aria-label={title}>
      <table className={list.old && rows.length ? "pics dim" : "pics"} aria-rowcount={more ? -1 : rows.length + 1} aria-busy={list.busy}>
        <caption className="sr">{title}</caption>
        <Head title={title} columns={columns} sort={sort} sortBy={sortBy} rows={list.rows} selected={selected} choose={choose} />
        <tbody>
          {items.map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            const gap = item.start - end;
            end = item.end;
            return (
              <Fragment key={row.id}>
                {gap > 0 && <Spare span={span} height={gap} />}
                <TableRow entity={entity} row={row.original} index={item.index} columns={columns} narrow={narrow} isChosen={selected.has(row.original.uid)} isCurrent={item.index === current} act={act} />
              </Fragment>
            );
          })}
          {virtual.getTotalSize() > end && <Spare span={span} height={virtual.getTotalSize() - end} />}
        </tbody>
      </table>
      {list.error && <div className="page"><Failure error={list.error} again={list.again} /></div>}
      {!list.error && rows.length === 0 && (list.busy || list.old ? <Loading what={title.toLowerCase()} /> : nothing)}
    </div>
  );
}

function Spare({ span, height }: { span: number; height: number }) {
  return <tr className="spare"><td colSpan={span} style={{ height }} /></tr>;
}

interface HeadProps { title: string; columns: readonly Column[]; sort: string; sortBy: (key: string) => void; rows: readonly Row[]; selected: ReadonlySet<string>; choose: (uids: Iterable<string>) => void }
const Head = memo(function Head({ title, columns, sort, sortBy, rows, selected, choose }: HeadProps) {
  const isAll = rows.length > 0 && selected.size === rows.length;
  return (
    <>
      <colgroup><col width={34} /><col width={50} /><col width={260} />{columns.map((column) => <col key={column.key} width={column.width} />)}</colgroup>
      <thead><tr aria-rowindex={1}>
        <th className="c-sel"><input type="checkbox" aria-label="Select all that are loaded" checked={isAll} ref={(node) => { if (node) node.indeterminate = selected.size > 0 && !isAll; }} onChange={() => { choose(isAll ? [] : rows.map((row) => row.uid)); }} /></th>
        <th><span className="sr">Picture</span></th><th>{title}</th>
        {columns.map((column) => {
          const down = sort === `-${column.key}`, up = sort === column.key;
          return (
            <th key={column.key} className={column.numeric ? "num" : undefined} {...(up || down ? { "aria-sort": up ? "ascending" as const : "descending" as const } : {})}>
              {column.order ? <button type="button" className="sort" title={column.title} onClick={() => { sortBy(column.key); }}>{column.short} {column.unit && <small>{column.unit}</small>} {up ? "↑" : down ? "↓" : ""}</button> : <span title={column.title}>{column.short}</span>}
            </th>
          );
        })}
      </tr></thead>
    </>
  );
});

/** Actions that stay the same object, and do what was said last. */
function useActions(given: RowActions): RowActions {
  const latest = useRef(given);
  useLayoutEffect(() => { latest.current = given; });
  return useMemo(() => ({
    open: (row) => { latest.current.open(row); },
    toggle: (uid, index, extend) => { latest.current.toggle(uid, index, extend); },
    only: (text) => { latest.current.only(text); },
    setCurrent: (index) => { latest.current.setCurrent(index); },
  }), []);
}

function useNarrow(): boolean {
  const query = useMemo(() => window.matchMedia("(max-width: 720px)"), []);
  const [narrow, setNarrow] = useState(() => query.matches);
  useEffect(() => { const listen = () => { setNarrow(query.matches); }; query.addEventListener("change", listen); return () => { query.removeEventListener("change", listen); }; }, [query]);
  return narrow;
}
