import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useClient, type CombinedError, type TypedDocumentNode } from "urql";
import type { ElementKey } from "./columns";
import type { Entity } from "./fields";
import { ROWS } from "./rows";

export type Row = { id: string; uid: string } & Record<string, unknown>;
export interface Question {
  filter?: Record<string, unknown> | undefined;
  search?: string | undefined;
  orderBy: Record<string, unknown>[];
  /** Elements of the header, by the names that columns have for them. */
  names: string[];
  keys: ElementKey[];
  withElements: boolean;
}
interface Page { rows: { nodes: Row[]; pageInfo: { hasNextPage: boolean; endCursor?: string | null } } | null }
const PAGE = 100;

/** The rows of a list, page after page; those of the last question stay until the new ones are here. */
export function useRows(entity: Entity, question: Question) {
  const client = useClient();
  const key = JSON.stringify([entity, question]);
  const [rows, setRows] = useState<Row[]>([]);
  const [more, setMore] = useState(false);
  const [busy, setBusy] = useState(true);
  const [error, setError] = useState<CombinedError | undefined>();
  const [shownKey, setShownKey] = useState("");
  const place = useRef({ key: "", cursor: null as string | null, asking: false });
  const variables = useMemo(() => question, [key]);

  const ask = useCallback(async (from: string | null) => {
    if (from !== null && place.current.asking) return;
    place.current.asking = true;
    setBusy(true);
    const asked = key;
    const document = ROWS[entity] as unknown as TypedDocumentNode<Page, Record<string, unknown>>;
    const { names, ...given } = variables;
    const result = await client.query(document, { ...given, after: from, first: PAGE }, { requestPolicy: from === null ? "cache-and-network" : "cache-first" }).toPromise();
    if (place.current.key !== asked) return;
    place.current.asking = false;
    setBusy(false);
    setError(result.error);
    if (!result.data?.rows) return;
    const { pageInfo } = result.data.rows;
    const nodes = names.length ? result.data.rows.nodes.map((row) => ({ ...row, keys: names })) : result.data.rows.nodes;
    place.current.cursor = pageInfo.endCursor ?? null;
    setMore(pageInfo.hasNextPage);
    setShownKey(asked);
    setRows((shown) => (from === null ? nodes : [...shown, ...nodes]));
  }, [client, entity, key, variables]);

  useEffect(() => {
    place.current = { key, cursor: null, asking: false };
    void ask(null);
  }, [ask, key]);

  const next = useCallback(() => { if (more && !place.current.asking) void ask(place.current.cursor); }, [ask, more]);
  return { rows, more, busy, error, old: shownKey !== key, next, again: () => { void ask(null); } };
}
