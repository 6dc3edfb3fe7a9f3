import { useQuery } from "urql";
import { graphql } from "../gql";

const VIEWER = graphql(`
  query Viewer { viewer { name role isDeidentified groups canImport canEdit canAdminister } }
`);

/** Who looks at the pages, and what it may do; nothing before that is known. */
export function useViewer() {
  const [{ data }] = useQuery({ query: VIEWER });
  return data?.viewer;
}
