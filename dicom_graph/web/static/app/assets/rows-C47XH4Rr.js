import{a as e}from"./states-CNSiGpzZ.js";var t={patient:e(`
    query PatientRows(
      $filter: PatientFilter, $search: String, $orderBy: [PatientOrder!], $after: String, $first: Int
      $name: Boolean! = false
      $namePrefix: Boolean! = false
      $givenName: Boolean! = false
      $middleName: Boolean! = false
      $familyName: Boolean! = false
      $nameSuffix: Boolean! = false
      $sex: Boolean! = false
      $dateOfBirth: Boolean! = false
      $created: Boolean! = false
      $modified: Boolean! = false
      $nStudies: Boolean! = false
      $nSeries: Boolean! = false
      $sexDisplay: Boolean! = false
      $subject: Boolean! = false
      $latestStudyTime: Boolean! = false
    ) {
      rows: patients(filter: $filter, search: $search, orderBy: $orderBy, first: $first, after: $after) {
        nodes {
          id uid fullName nImages
          picture: series(first: 1) { nodes { id uid modality } }
          name @include(if: $name)
          namePrefix @include(if: $namePrefix)
          givenName @include(if: $givenName)
          middleName @include(if: $middleName)
          familyName @include(if: $familyName)
          nameSuffix @include(if: $nameSuffix)
          sex @include(if: $sex)
          dateOfBirth @include(if: $dateOfBirth)
          created @include(if: $created)
          modified @include(if: $modified)
          nStudies @include(if: $nStudies)
          nSeries @include(if: $nSeries)
          sexDisplay @include(if: $sexDisplay)
          subject @include(if: $subject)
          latestStudyTime @include(if: $latestStudyTime)
        }
        pageInfo { hasNextPage endCursor }
      }
    }
  `),study:e(`
    query StudyRows(
      $filter: StudyFilter, $search: String, $orderBy: [StudyOrder!], $after: String, $first: Int
      $date: Boolean! = false
      $time: Boolean! = false
      $created: Boolean! = false
      $modified: Boolean! = false
      $nPatients: Boolean! = false
      $nSeries: Boolean! = false
      $datetime: Boolean! = false
    ) {
      rows: studies(filter: $filter, search: $search, orderBy: $orderBy, first: $first, after: $after) {
        nodes {
          id uid description nImages
          patients(first: 1) { nodes { id uid fullName } }
          picture: series(first: 1) { nodes { id uid modality } }
          date @include(if: $date)
          time @include(if: $time)
          created @include(if: $created)
          modified @include(if: $modified)
          nPatients @include(if: $nPatients)
          nSeries @include(if: $nSeries)
          datetime @include(if: $datetime)
        }
        pageInfo { hasNextPage endCursor }
      }
    }
  `),series:e(`
    query SeriesRows(
      $filter: SeriesFilter, $search: String, $orderBy: [SeriesOrder!], $after: String, $first: Int
      $keys: [ElementKey!]! = [], $withElements: Boolean! = false
      $date: Boolean! = false
      $time: Boolean! = false
      $bodyPartExamined: Boolean! = false
      $patientPosition: Boolean! = false
      $manufacturer: Boolean! = false
      $manufacturerModelName: Boolean! = false
      $deviceSerialNumber: Boolean! = false
      $institutionName: Boolean! = false
      $operatorsName: Boolean! = false
      $magneticFieldStrength: Boolean! = false
      $echoTime: Boolean! = false
      $echoTimes: Boolean! = false
      $echoTrainLength: Boolean! = false
      $inversionTime: Boolean! = false
      $inversionTimes: Boolean! = false
      $repetitionTime: Boolean! = false
      $repetitionTimes: Boolean! = false
      $flipAngle: Boolean! = false
      $flipAngles: Boolean! = false
      $sliceThickness: Boolean! = false
      $pixelSpacing: Boolean! = false
      $scanningSequence: Boolean! = false
      $sequenceVariant: Boolean! = false
      $sequenceName: Boolean! = false
      $pulseSequenceName: Boolean! = false
      $mrAcquisitionType: Boolean! = false
      $sequenceType: Boolean! = false
      $acquisitionContrast: Boolean! = false
      $acquisitionContrastConfidence: Boolean! = false
      $acquisitionContrastEvidence: Boolean! = false
      $complexComponent: Boolean! = false
      $complexComponentConfidence: Boolean! = false
      $complexComponentEvidence: Boolean! = false
      $bidsDatatype: Boolean! = false
      $bidsSuffix: Boolean! = false
      $bidsConfidence: Boolean! = false
      $bidsEvidence: Boolean! = false
      $ageAtStudy: Boolean! = false
      $imagesExpected: Boolean! = false
      $created: Boolean! = false
      $modified: Boolean! = false
      $datetime: Boolean! = false
      $spatialResolution: Boolean! = false
      $modalityDisplay: Boolean! = false
      $patientPositionDisplay: Boolean! = false
      $scanningSequenceDisplay: Boolean! = false
      $sequenceVariantDisplay: Boolean! = false
      $mrAcquisitionTypeDisplay: Boolean! = false
      $sequenceTypeDisplay: Boolean! = false
      $nFiles: Boolean! = false
    ) {
      rows: series(filter: $filter, search: $search, orderBy: $orderBy, first: $first, after: $after) {
        nodes {
          id uid number description protocolName modality nImages
          patient { id uid fullName }
          sampleHeader @include(if: $withElements) { id elementsAt(keys: $keys) { id vr vm value warnings } }
          date @include(if: $date)
          time @include(if: $time)
          bodyPartExamined @include(if: $bodyPartExamined)
          patientPosition @include(if: $patientPosition)
          manufacturer @include(if: $manufacturer)
          manufacturerModelName @include(if: $manufacturerModelName)
          deviceSerialNumber @include(if: $deviceSerialNumber)
          institutionName @include(if: $institutionName)
          operatorsName @include(if: $operatorsName)
          magneticFieldStrength @include(if: $magneticFieldStrength)
          echoTime @include(if: $echoTime)
          echoTimes @include(if: $echoTimes)
          echoTrainLength @include(if: $echoTrainLength)
          inversionTime @include(if: $inversionTime)
          inversionTimes @include(if: $inversionTimes)
          repetitionTime @include(if: $repetitionTime)
          repetitionTimes @include(if: $repetitionTimes)
          flipAngle @include(if: $flipAngle)
          flipAngles @include(if: $flipAngles)
          sliceThickness @include(if: $sliceThickness)
          pixelSpacing @include(if: $pixelSpacing)
          scanningSequence @include(if: $scanningSequence)
          sequenceVariant @include(if: $sequenceVariant)
          sequenceName @include(if: $sequenceName)
          pulseSequenceName @include(if: $pulseSequenceName)
          mrAcquisitionType @include(if: $mrAcquisitionType)
          sequenceType @include(if: $sequenceType)
          acquisitionContrast @include(if: $acquisitionContrast)
          acquisitionContrastConfidence @include(if: $acquisitionContrastConfidence)
          acquisitionContrastEvidence @include(if: $acquisitionContrastEvidence)
          complexComponent @include(if: $complexComponent)
          complexComponentConfidence @include(if: $complexComponentConfidence)
          complexComponentEvidence @include(if: $complexComponentEvidence)
          bidsDatatype @include(if: $bidsDatatype)
          bidsSuffix @include(if: $bidsSuffix)
          bidsConfidence @include(if: $bidsConfidence)
          bidsEvidence @include(if: $bidsEvidence)
          ageAtStudy @include(if: $ageAtStudy)
          imagesExpected @include(if: $imagesExpected)
          created @include(if: $created)
          modified @include(if: $modified)
          datetime @include(if: $datetime)
          spatialResolution @include(if: $spatialResolution)
          modalityDisplay @include(if: $modalityDisplay)
          patientPositionDisplay @include(if: $patientPositionDisplay)
          scanningSequenceDisplay @include(if: $scanningSequenceDisplay)
          sequenceVariantDisplay @include(if: $sequenceVariantDisplay)
          mrAcquisitionTypeDisplay @include(if: $mrAcquisitionTypeDisplay)
          sequenceTypeDisplay @include(if: $sequenceTypeDisplay)
          nFiles @include(if: $nFiles)
        }
        pageInfo { hasNextPage endCursor }
      }
    }
  `),image:e(`
    query ImageRows(
      $filter: ImageFilter, $search: String, $orderBy: [ImageOrder!], $after: String, $first: Int
      $keys: [ElementKey!]! = [], $withElements: Boolean! = false
      $date: Boolean! = false
      $time: Boolean! = false
      $sopClassUid: Boolean! = false
      $transferSyntaxUid: Boolean! = false
      $numberOfFrames: Boolean! = false
      $rows: Boolean! = false
      $columns: Boolean! = false
      $created: Boolean! = false
      $modified: Boolean! = false
      $datetime: Boolean! = false
      $sequenceType: Boolean! = false
    ) {
      rows: images(filter: $filter, search: $search, orderBy: $orderBy, first: $first, after: $after) {
        nodes {
          id uid number missingSince
          series { id description patient { id uid fullName } }
          header @include(if: $withElements) { id elementsAt(keys: $keys) { id vr vm value warnings } }
          date @include(if: $date)
          time @include(if: $time)
          sopClassUid @include(if: $sopClassUid)
          transferSyntaxUid @include(if: $transferSyntaxUid)
          numberOfFrames @include(if: $numberOfFrames)
          rows @include(if: $rows)
          columns @include(if: $columns)
          created @include(if: $created)
          modified @include(if: $modified)
          datetime @include(if: $datetime)
          sequenceType @include(if: $sequenceType)
        }
        pageInfo { hasNextPage endCursor }
      }
    }
  `)},n={patient:e(`query PatientCount($filter: PatientFilter, $search: String) { rows: patients(filter: $filter, search: $search) { totalCount } }`),study:e(`query StudyCount($filter: StudyFilter, $search: String) { rows: studies(filter: $filter, search: $search) { totalCount } }`),series:e(`query SeriesCount($filter: SeriesFilter, $search: String) { rows: series(filter: $filter, search: $search) { totalCount } }`),image:e(`query ImageCount($filter: ImageFilter, $search: String) { rows: images(filter: $filter, search: $search) { totalCount } }`)},r=e(`
  query Facet($entity: EntityType!, $field: FieldName, $keyword: String, $filter: FacetFilter) {
    facet(entity: $entity, field: $field, keyword: $keyword, filter: $filter, first: 8) { value count }
  }
`),i=e(`
  query Definitions($text: String!) {
    standard: dataElementDefinitions(filter: { keyword: { icontains: $text } }, first: 7) { nodes { id tag keyword vr name } }
    private: dataElementDefinitions(filter: { name: { icontains: $text }, private: true }, first: 5) { nodes { id tag vr name privateCreator } }
    ofCreator: dataElementDefinitions(filter: { privateCreator: { icontains: $text }, private: true }, first: 5) { nodes { id tag vr name privateCreator } }
  }
`),a=e(`
  query Paths($id: ID!) {
    node(id: $id) {
      ... on Series { id sampleHeader { id table { path depth keyword name vr privateCreator } } }
      ... on Image { id header { id table { path depth keyword name vr privateCreator } } }
    }
  }
`),o=e(`
  query FacetValues($entity: EntityType!, $field: FieldName, $filter: FacetFilter) {
    facet(entity: $entity, field: $field, filter: $filter, first: 500) { value count }
  }
`);export{a,o as i,i as n,t as o,r,n as t};