import { useQuery } from "urql";
import { graphql } from "../gql";
import { ENTITIES, fieldOf, setLabel } from "./fields";

const LABELS = graphql(`
  query FieldLabels {
    patient: entityFields(entity: PATIENT) { name label }
    study: entityFields(entity: STUDY) { name label }
    series: entityFields(entity: SERIES) { name label }
    image: entityFields(entity: IMAGE) { name label }
  }
`);

/**
 * Asks the server once what its fields are called; until it has said (false) they have the words of
 * their keyword.
 */
export function useLabels(): boolean {
  const [{ data }] = useQuery({ query: LABELS });
  if (!data) return false;
  for (const entity of ENTITIES) {
    for (const { name, label } of data[entity] ?? []) {
      const field = fieldOf(entity, name);
      if (field) setLabel(field, label);
    }
  }
  return true;
}
