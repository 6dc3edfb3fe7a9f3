import { Link, useParams } from "@tanstack/react-router";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { at } from "../lib/base";
import { plural, show } from "../lib/fields";
import { Cards } from "../parts/cards";
import { Icon } from "../parts/icons";
import { Empty, Failure, Loading } from "../parts/states";

const PATIENT = graphql(`
  query PatientPage($uid: String!) {
    patientByUid(uid: $uid) {
      id uid fullName sex sexDisplay dateOfBirth subject nStudies nSeries nImages zipUrl
      studies(first: 50, orderBy: [{ field: DATE, direction: DESC }]) {
        edges {
          node { id uid description date time }
          nSeries nImages
          series(first: 12, orderBy: [{ field: NUMBER }]) { nodes { id uid number description protocolName modality sequenceType nImages echoTime repetitionTime } }
        }
        pageInfo { hasNextPage }
      }
    }
  }
`);

/** A patient: a timeline of studies, and what is in each. */
export function PatientPage() {
  const { uid } = useParams({ strict: false });
  const [{ data, error, fetching }, again] = useQuery({ query: PATIENT, variables: { uid: uid ?? "" } });
  if (error && !data) return <div className="page"><Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} /></div>;
  if (fetching && !data) return <Loading what="the patient" />;
  const patient = data?.patientByUid;
  if (!patient) return <div className="page"><Empty title="No patient has this ID"><p className="mono">{uid}</p><Link className="btn" to="/patients">All patients</Link></Empty></div>;
  // What of a study is this patient's is in the edge.
  const studies = patient.studies.edges.map(({ node, ...its }) => ({ ...node, ...its }));
  return (
    <div className="page">
      <div className="head"><div className="grow">
        <nav className="crumbs" aria-label="Where this is"><Link to="/patients">Patients</Link><span>/</span><span className="mono">{patient.uid}</span></nav>
        <h1>{patient.fullName ?? patient.uid}</h1>
        <div className="facts">{patient.sex && <span>{patient.sexDisplay ?? patient.sex}</span>}{patient.dateOfBirth && <span>born {patient.dateOfBirth}</span>}<span><b>{show(patient.nStudies)}</b> {patient.nStudies === 1 ? "study" : "studies"}</span><span><b>{show(patient.nSeries)}</b> series</span><span><b>{show(patient.nImages)}</b> {patient.nImages === 1 ? "image" : "images"}</span></div>
      </div>
      <div className="actions"><a className="btn" href={at(patient.zipUrl)}><Icon name="down" /> zip</a><Link className="btn" to="/series" search={{ f: [`patient.uid=${patient.uid}`] }}><Icon name="list" /> As a table</Link></div></div>
      <Timeline studies={studies} />
      <div className="col">{studies.map((study) => (
        <section className="panel" key={study.id} id={study.id}>
          <header><h2><Link to="/studies/$uid" params={{ uid: study.uid }}>{study.description ?? "(no description)"}</Link></h2><span className="muted">{study.date ?? "no date"}</span><div className="end">{plural(study.nSeries, "series", "series")} · {plural(study.nImages, "image")}</div></header>
          <Cards series={study.series.nodes} />
          {study.nSeries > 12 && <p className="hint"><Link className="link" to="/studies/$uid" params={{ uid: study.uid }}>All {study.nSeries} series</Link></p>}
        </section>
      ))}</div>
    </div>
  );
}

/** The studies on a line of time. */
function Timeline({ studies }: { studies: readonly { id: string; uid: string; date?: string | null; description?: string | null }[] }) {
  const dated = studies.filter((study) => study.date).map((study) => ({ ...study, at: Date.parse(study.date ?? "") }));
  if (dated.length < 2) return null;
  const first = Math.min(...dated.map((study) => study.at)), last = Math.max(...dated.map((study) => study.at));
  if (first === last) return null;
  return (
    <nav className="timeline" aria-label="Studies in time">{dated.map((study) => (
      <Link key={study.id} to="/studies/$uid" params={{ uid: study.uid }} title={`${study.date ?? ""} ${study.description ?? ""}`} aria-label={`${study.date ?? ""} ${study.description ?? ""}`} ref={(node: HTMLAnchorElement | null) => { if (node) node.style.left = `${String(1 + (97 * (study.at - first)) / (last - first))}%`; }} />
    ))}<span className="from">{new Date(first).toISOString().slice(0, 10)}</span><span className="to">{new Date(last).toISOString().slice(0, 10)}</span></nav>
  );
}
