import { Link, useParams } from "@tanstack/react-router";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { at } from "../lib/base";
import { plural, show } from "../lib/fields";
import { Cards } from "../parts/cards";
import { Icon } from "../parts/icons";
import { Empty, Failure, Loading } from "../parts/states";

const STUDY = graphql(`
  query StudyPage($uid: String!) {
    studyByUid(uid: $uid) {
      id uid description date time created nSeries nImages zipUrl
      patients(first: 5) { nodes { id uid fullName } }
      series(first: 200, orderBy: [{ field: NUMBER }]) {
        nodes { id uid number description protocolName modality sequenceType nImages echoTime repetitionTime manufacturerModelName institutionName }
        pageInfo { hasNextPage }
      }
    }
  }
`);

/** A study: who and when, and a card for each series. */
export function StudyPage() {
  const { uid } = useParams({ strict: false });
  const [{ data, error, fetching }, again] = useQuery({ query: STUDY, variables: { uid: uid ?? "" } });
  if (error && !data) return <div className="page"><Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} /></div>;
  if (fetching && !data) return <Loading what="the study" />;
  const study = data?.studyByUid;
  if (!study) return <div className="page"><Empty title="No study has this UID"><p className="mono">{uid}</p><Link className="btn" to="/studies">All studies</Link></Empty></div>;
  const series = study.series.nodes;
  return (
    <div className="page">
      <div className="head"><div className="grow">
        <nav className="crumbs" aria-label="Where this is">{study.patients.nodes.map((each) => <Link key={each.id} to="/patients/$uid" params={{ uid: each.uid }}>{each.fullName ?? each.uid}</Link>)}<span>/</span><span>Study</span></nav>
        <h1>{study.description ?? "(no description)"}</h1>
        <div className="facts"><span>{[study.date, show(study.time, "Time")].filter(Boolean).join(" ") || "no date"}</span><span><b>{show(study.nSeries)}</b> series</span><span><b>{show(study.nImages)}</b> {study.nImages === 1 ? "image" : "images"}</span><span>{[series[0]?.manufacturerModelName, series[0]?.institutionName].filter(Boolean).join(", ")}</span></div>
      </div>
      <div className="actions"><a className="btn" href={at(study.zipUrl)}><Icon name="down" /> zip</a><Link className="btn" to="/series" search={{ f: [`study.uid=${study.uid}`] }}><Icon name="list" /> As a table</Link></div></div>
      <section className="panel"><header><h2>Series</h2><div className="end">{plural(study.nSeries, "series", "series")}</div></header><Cards series={series} stacks />{study.series.pageInfo.hasNextPage && <p className="hint quiet">The first 200 are shown; the table has all.</p>}</section>
    </div>
  );
}
