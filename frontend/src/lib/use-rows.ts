import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useClient, type CombinedError, type TypedDocumentNode } from "urql";
import type { Column, ElementKey } from "./columns";
import type { Entity } from "./fields";
import { ROWS } from "./rows";

export type Row = { id: string; uid: string } & Record<string, unknown>;
export interface Question {
  filter?: Record<string, unknown> | undefined;
  search?: string | undefined;
  orderBy: Record<string, unknown>[];
}
interface Page { rows: { nodes: Row[]; pageInfo: { hasNextPage: boolean; endCursor?: string | null } } | null }
const PAGE = 100;

/** The list of an entity, which takes a question, a place, and what is `wanted` of each row. */
export function rowsDocument(entity: Entity): TypedDocumentNode<Page, Record<string, unknown>> {
  return ROWS[entity] as unknown as TypedDocumentNode<Page, Record<string, unknown>>;
}

/** The variables with which a list has what columns show, and no more. */
export function wanted(columns: readonly Column[]): Record<string, unknown> {
  const elements = columns.map((column) => column.element).filter((element): element is ElementKey => element !== undefined);
  return {
    ...Object.fromEntries(columns.filter((column) => !column.element).map((column) => [column.key, true])),
    ...(elements.length ? { keys: elements, withElements: true } : {}),
  };
}

/**
 * The rows of a list, page after page; those of the last question stay until the new ones are here.
 */
export function useRows(entity: Entity, question: Question, columns: readonly Column[]) {
  const client = useClient();
  const key = JSON.stringify([entity, question, columns.map((column) => column.key)]);
  const [state, setState] = useState({ rows: [] as Row[], more: false, key: "", error: undefined as CombinedError | undefined });
  const [busy, setBusy] = useState(true);
  const place = useRef({ cursor: null as string | null, asking: false, stop: () => { /* nothing is asked yet */ } });
  const [given, names] = useMemo(() => [
    { ...question, ...wanted(columns) },
    columns.filter((column) => column.element).map((column) => column.key.slice(1)),
  ] as const, [key]);

  const ask = useCallback((from: string | null) => {
    place.current.stop();
    setBusy(true);
    const asked = client.query(rowsDocument(entity), { ...given, after: from, first: PAGE }, { requestPolicy: from === null ? "cache-and-network" : "cache-first" });
    let isOver = false;
    const running: { unsubscribe?: () => void } = {};
    // What is no longer wanted is not waited for: the request is given up.
    const stop = () => { isOver = true; running.unsubscribe?.(); place.current.asking = false; };
    place.current = { ...place.current, asking: true, stop };
    running.unsubscribe = asked.subscribe((result) => {
      if (isOver || result.stale) return;
      stop();
      setBusy(false);
      if (!result.data?.rows) { setState((shown) => ({ ...shown, error: result.error })); return; }
      const { pageInfo } = result.data.rows;
      const nodes = names.length ? result.data.rows.nodes.map((row) => ({ ...row, keys: names })) : result.data.rows.nodes;
      place.current.cursor = pageInfo.endCursor ?? null;
      setState((shown) => ({ rows: from === null ? nodes : [...shown.rows, ...nodes], more: pageInfo.hasNextPage, key, error: result.error }));
    }).unsubscribe;
    if (isOver) running.unsubscribe();
  }, [client, entity, key, given, names]);

  useEffect(() => { ask(null); return () => { place.current.stop(); }; }, [ask]);

  const { rows, more, error } = state;
  const next = useCallback(() => { if (more && !place.current.asking) ask(place.current.cursor); }, [ask, more]);
  const again = useCallback(() => { ask(null); }, [ask]);
  return useMemo(() => ({ rows, more, busy, error, old: state.key !== key, next, again }), [rows, more, busy, error, state.key, key, next, again]);
}
