import { graphql } from "../gql";

const PATIENT_COUNT = graphql(`query PatientCount($filter: PatientFilter, $search: String) { rows: patients(filter: $filter, search: $search) { totalCount } }`);
const STUDY_COUNT = graphql(`query StudyCount($filter: StudyFilter, $search: String) { rows: studies(filter: $filter, search: $search) { totalCount } }`);
const SERIES_COUNT = graphql(`query SeriesCount($filter: SeriesFilter, $search: String) { rows: series(filter: $filter, search: $search) { totalCount } }`);
const IMAGE_COUNT = graphql(`query ImageCount($filter: ImageFilter, $search: String) { rows: images(filter: $filter, search: $search) { totalCount } }`);

export { ROWS } from "../generated/rows";
export const COUNTS = { patient: PATIENT_COUNT, study: STUDY_COUNT, series: SERIES_COUNT, image: IMAGE_COUNT } as const;
export const FACET = graphql(`
  query Facet($entity: EntityType!, $field: FieldName, $keyword: String, $filter: FacetFilter) {
    facet(entity: $entity, field: $field, keyword: $keyword, filter: $filter, first: 8) { value count }
  }
`);
/** Elements that there are, by what was typed: standard ones by keyword, private ones by name or creator. */
export const DEFINITIONS = graphql(`
  query Definitions($text: String!) {
    standard: dataElementDefinitions(filter: { keyword: { icontains: $text } }, first: 7) { nodes { id tag keyword vr name } }
    private: dataElementDefinitions(filter: { name: { icontains: $text }, private: true }, first: 5) { nodes { id tag vr name privateCreator } }
    ofCreator: dataElementDefinitions(filter: { privateCreator: { icontains: $text }, private: true }, first: 5) { nodes { id tag vr name privateCreator } }
  }
`);
/** All elements of one header, for the paths to nested ones. */
export const PATHS = graphql(`
  query Paths($id: ID!) {
    node(id: $id) {
      ... on Series { id sampleHeader { id table { path depth keyword name vr privateCreator } } }
      ... on Image { id header { id table { path depth keyword name vr privateCreator } } }
    }
  }
`);
export const FACET_VALUES = graphql(`
  query FacetValues($entity: EntityType!, $field: FieldName, $filter: FacetFilter) {
    facet(entity: $entity, field: $field, filter: $filter, first: 500) { value count }
  }
`);
