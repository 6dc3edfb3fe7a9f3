import{a as e}from"./states-BqsveSUK.js";var t=e(`
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
`),n=e(`
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
`),r=e(`
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
`),i=e(`
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
`),a=e(`query PatientCount($filter: PatientFilter, $search: String) { rows: patients(filter: $filter, search: $search) { totalCount } }`),o=e(`query StudyCount($filter: StudyFilter, $search: String) { rows: studies(filter: $filter, search: $search) { totalCount } }`),s=e(`query SeriesCount($filter: SeriesFilter, $search: String) { rows: series(filter: $filter, search: $search) { totalCount } }`),c=e(`query ImageCount($filter: ImageFilter, $search: String) { rows: images(filter: $filter, search: $search) { totalCount } }`),l={patient:t,study:n,series:r,image:i},u={patient:a,study:o,series:s,image:c},d=e(`
  query Facet($entity: EntityType!, $field: FieldName, $keyword: String, $filter: FacetFilter) {
    facet(entity: $entity, field: $field, keyword: $keyword, filter: $filter, first: 8) { value count }
  }
`),f=e(`
  query Definitions($text: String!) {
    standard: dataElementDefinitions(filter: { keyword: { icontains: $text } }, first: 7) { nodes { id tag keyword vr name } }
    private: dataElementDefinitions(filter: { name: { icontains: $text }, private: true }, first: 5) { nodes { id tag vr name privateCreator } }
    ofCreator: dataElementDefinitions(filter: { privateCreator: { icontains: $text }, private: true }, first: 5) { nodes { id tag vr name privateCreator } }
  }
`),p=e(`
  query Paths($id: ID!) {
    node(id: $id) {
      ... on Series { id sampleHeader { id table { path depth keyword name vr privateCreator } } }
      ... on Image { id header { id table { path depth keyword name vr privateCreator } } }
    }
  }
`),m=e(`
  query FacetValues($entity: EntityType!, $field: FieldName, $filter: FacetFilter) {
    facet(entity: $entity, field: $field, filter: $filter, first: 500) { value count }
  }
`);export{p as a,m as i,f as n,l as o,d as r,u as t};