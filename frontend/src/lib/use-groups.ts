import { useQuery, type CombinedError, type TypedDocumentNode } from "urql";
import { graphql } from "../gql";
import type { ElementKey } from "./columns";
import { elementKey } from "./columns";
import { cutOf, type Cut, type Group } from "./bins";
import { enumName, type Entity } from "./fields";
import type { FieldName } from "../gql/graphql";

const GROUPS = {
  patient: graphql(`query PatientGroups($filter: PatientFilter, $by: [GroupBy!]!, $first: Int!) { rows: patients(filter: $filter) { groups(by: $by, first: $first) { totalCount nodes { count keys { value to } } } } }`),
  study: graphql(`query StudyGroups($filter: StudyFilter, $by: [GroupBy!]!, $first: Int!) { rows: studies(filter: $filter) { groups(by: $by, first: $first) { totalCount nodes { count keys { value to } } } } }`),
  series: graphql(`query SeriesGroups($filter: SeriesFilter, $by: [GroupBy!]!, $first: Int!) { rows: series(filter: $filter) { groups(by: $by, first: $first) { totalCount nodes { count keys { value to } } } } }`),
  image: graphql(`query ImageGroups($filter: ImageFilter, $by: [GroupBy!]!, $first: Int!) { rows: images(filter: $filter) { groups(by: $by, first: $first) { totalCount nodes { count keys { value to } } } } }`),
} as const;
const ENDS = {
  patient: graphql(`query PatientEnds($filter: PatientFilter, $by: [GroupBy!]!) { rows: patients(filter: $filter) { low: groups(by: $by, first: 2, orderBy: [{ field: KEY }]) { totalCount nodes { count keys { value } } } high: groups(by: $by, first: 1, orderBy: [{ field: KEY, direction: DESC }]) { nodes { count keys { value } } } } }`),
  study: graphql(`query StudyEnds($filter: StudyFilter, $by: [GroupBy!]!) { rows: studies(filter: $filter) { low: groups(by: $by, first: 2, orderBy: [{ field: KEY }]) { totalCount nodes { count keys { value } } } high: groups(by: $by, first: 1, orderBy: [{ field: KEY, direction: DESC }]) { nodes { count keys { value } } } } }`),
  series: graphql(`query SeriesEnds($filter: SeriesFilter, $by: [GroupBy!]!) { rows: series(filter: $filter) { low: groups(by: $by, first: 2, orderBy: [{ field: KEY }]) { totalCount nodes { count keys { value } } } high: groups(by: $by, first: 1, orderBy: [{ field: KEY, direction: DESC }]) { nodes { count keys { value } } } } }`),
  image: graphql(`query ImageEnds($filter: ImageFilter, $by: [GroupBy!]!) { rows: images(filter: $filter) { low: groups(by: $by, first: 2, orderBy: [{ field: KEY }]) { totalCount nodes { count keys { value } } } high: groups(by: $by, first: 1, orderBy: [{ field: KEY, direction: DESC }]) { nodes { count keys { value } } } } }`),
} as const;
interface Key { field?: FieldName; element?: ElementKey }
interface Groups { rows: { groups: { totalCount: number; nodes: Group[] } } | null }
interface Ends { rows: { low: { totalCount: number; nodes: Group[] }; high: { nodes: Group[] } } | null }
type Filter = Record<string, unknown> | undefined;

/** What a key of the address asks: a field, or with @ any element. */
export function groupKey(key: string): Key {
  return key.startsWith("@") ? { element: elementKey(key.slice(1)) } : { field: enumName(key) };
}

/** How a key is cut, once it is known from where to where its values go. */
export function useCut(entity: Entity, key: string, filter: Filter): { cut: Cut | undefined; error: CombinedError | undefined } {
  const [{ data, error }] = useQuery({ query: ENDS[entity] as unknown as TypedDocumentNode<Ends, Record<string, unknown>>, variables: { filter, by: [groupKey(key)] }, pause: !key });
  if (!data?.rows) return { cut: undefined, error };
  const { low, high } = data.rows;
  const least = low.nodes.map((group) => group.keys[0]?.value).find((value) => value !== null && value !== undefined);
  return { cut: cutOf(low.totalCount, least, high.nodes[0]?.keys[0]?.value), error };
}

/** The groups of a list by one or two keys, cut as said; nothing is asked before that is known. */
export function useGroups(entity: Entity, keys: readonly { key: string; cut: Cut | undefined }[], filter: Filter, first: number) {
  const by = keys.map(({ key, cut }) => ({ ...groupKey(key), ...cut }));
  const variables = { filter, by, first };
  const document = GROUPS[entity] as unknown as TypedDocumentNode<Groups, Record<string, unknown>>;
  const [{ data, error, fetching }, again] = useQuery({ query: document, variables, pause: keys.some(({ key, cut }) => !key || !cut) });
  return { groups: data?.rows?.groups.nodes, total: data?.rows?.groups.totalCount ?? 0, error, fetching, again, document, variables };
}
