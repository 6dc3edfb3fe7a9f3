import { graphql } from "../gql";

const PATIENTS = graphql(`
  query PatientRows($filter: PatientFilter, $search: String, $orderBy: [PatientOrder!], $after: String, $first: Int) {
    rows: patients(filter: $filter, search: $search, orderBy: $orderBy, first: $first, after: $after) {
      nodes {
        id uid name namePrefix givenName middleName familyName nameSuffix sex dateOfBirth created modified
        nStudies nSeries nImages fullName sexDisplay subject latestStudyTime
        picture: series(first: 1) { nodes { id uid modality } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const STUDIES = graphql(`
  query StudyRows($filter: StudyFilter, $search: String, $orderBy: [StudyOrder!], $after: String, $first: Int) {
    rows: studies(filter: $filter, search: $search, orderBy: $orderBy, first: $first, after: $after) {
      nodes {
        id uid description date time created modified nPatients nSeries nImages datetime
        patients(first: 1) { nodes { id uid fullName } }
        picture: series(first: 1) { nodes { id uid modality } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const SERIES = graphql(`
  query SeriesRows($filter: SeriesFilter, $search: String, $orderBy: [SeriesOrder!], $after: String, $first: Int, $keys: [ElementKey!]!, $withElements: Boolean!) {
    rows: series(filter: $filter, search: $search, orderBy: $orderBy, first: $first, after: $after) {
      nodes {
        id uid number description date time modality bodyPartExamined patientPosition protocolName manufacturer
        manufacturerModelName deviceSerialNumber institutionName operatorsName magneticFieldStrength echoTime
        echoTrainLength inversionTime repetitionTime flipAngle sliceThickness pixelSpacing scanningSequence
        sequenceVariant sequenceName pulseSequenceName mrAcquisitionType sequenceType created modified nImages
        datetime spatialResolution
        patient { id uid fullName }
        study { id uid description date }
        sampleHeader @include(if: $withElements) { id elementsAt(keys: $keys) { id vr vm value warnings } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const IMAGES = graphql(`
  query ImageRows($filter: ImageFilter, $search: String, $orderBy: [ImageOrder!], $after: String, $first: Int, $keys: [ElementKey!]!, $withElements: Boolean!) {
    rows: images(filter: $filter, search: $search, orderBy: $orderBy, first: $first, after: $after) {
      nodes {
        id uid number date time sopClassUid transferSyntaxUid numberOfFrames rows columns created modified datetime
        missingSince sequenceType warnings
        patient { id uid fullName }
        series { id uid number description modality }
        header @include(if: $withElements) { id elementsAt(keys: $keys) { id vr vm value warnings } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
`);
const PATIENT_COUNT = graphql(`query PatientCount($filter: PatientFilter, $search: String) { rows: patients(filter: $filter, search: $search) { totalCount } }`);
const STUDY_COUNT = graphql(`query StudyCount($filter: StudyFilter, $search: String) { rows: studies(filter: $filter, search: $search) { totalCount } }`);
const SERIES_COUNT = graphql(`query SeriesCount($filter: SeriesFilter, $search: String) { rows: series(filter: $filter, search: $search) { totalCount } }`);
const IMAGE_COUNT = graphql(`query ImageCount($filter: ImageFilter, $search: String) { rows: images(filter: $filter, search: $search) { totalCount } }`);

export const ROWS = { patient: PATIENTS, study: STUDIES, series: SERIES, image: IMAGES } as const;
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
