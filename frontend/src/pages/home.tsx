import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { textOf } from "../lib/address";
import { plural, show } from "../lib/fields";
import { FACET } from "../lib/rows";
import { useViewer } from "../lib/viewer";
import { Icon } from "../parts/icons";
import { Picture } from "../parts/picture";
import { Progress } from "../parts/progress";
import { Empty, Failure, Loading } from "../parts/states";

const TOTALS = graphql(`query HomeTotals { patients { totalCount } studies { totalCount } series { totalCount } images { totalCount } definitions: dataElementDefinitions { totalCount } private: dataElementDefinitions(filter: { private: true }) { totalCount } }`);
const LATEST = graphql(`
  query HomeLatest($orderBy: [StudyOrder!]) {
    studies(first: 8, orderBy: $orderBy) {
      nodes {
        id uid description date created nSeries nImages
        patients(first: 1) { nodes { id uid fullName } }
        series(first: 6, orderBy: [{ field: NUMBER }]) { nodes { id uid number modality manufacturerModelName description } }
      }
    }
  }
`);
const JOBS = graphql(`
  query HomeJobs {
    running: importJobs(filter: { status: { in: [PENDING, RUNNING] } }, first: 3) { nodes { id status paths found processed created skipped failed imagesPerSecond } }
    failed: importJobs(filter: { failed: { gt: 0 } }, orderBy: [{ field: ID, direction: DESC }], first: 3) { nodes { id paths failed createdAt } }
    recent: importJobs(orderBy: [{ field: ID, direction: DESC }], first: 500) { nodes { id createdAt created } }
  }
`);
const ATTENTION = graphql(`
  query HomeAttention {
    warned: series(filter: { hasWarnings: true }) { totalCount }
    missing: images(filter: { missing: true }) { totalCount }
    undated: studies(filter: { date: { isNull: true } }) { totalCount }
  }
`);

/** Home: what there is, what came last, what needs attention. */
export function Home() {
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const byImport = textOf(search, "latest") === "import";
  const viewer = useViewer();
  const [totals] = useQuery({ query: TOTALS });
  const [latest, again] = useQuery({ query: LATEST, variables: { orderBy: byImport ? [{ field: "CREATED" as const, direction: "DESC" as const }] : [{ field: "DATE" as const, direction: "DESC" as const }] } });
  const [modalities] = useQuery({ query: FACET, variables: { entity: "SERIES", field: "MODALITY" } });
  const [scanners] = useQuery({ query: FACET, variables: { entity: "SERIES", field: "MANUFACTURER_MODEL_NAME" } });
  const [jobs] = useQuery({ query: JOBS });
  const [attention] = useQuery({ query: ATTENTION });
  const counts = totals.data;
  const studies = latest.data?.studies?.nodes ?? [];
  const kinds = (modalities.data?.facet ?? []).slice(0, 3).map((each) => `${show(each.count)} ${show(each.value) || "without"}`).join(", ");
  const scannersShown = (scanners.data?.facet ?? []).filter((each) => each.value !== null).slice(0, 6);
  const most = Math.max(1, ...scannersShown.map((each) => each.count));
  if (counts?.images?.totalCount === 0) {
    return (
      <div className="page"><h1 className="sr">Home</h1>
        {jobs.data?.running?.nodes.map((job) => <section className="panel" key={job.id}><Progress job={job} /></section>)}
        <Empty title="Nothing has been imported yet">
          <p>dicom-graph reads DICOM files where they lie, and leaves them as they are. {viewer?.canImport ? "Choose a folder of the server, or drop files." : "Ask someone who may import to begin."}</p>
          {viewer?.canImport && <Link className="btn primary" to="/imports">Import files</Link>}
        </Empty>
      </div>
    );
  }
  return (
    <div className="page">
      <h1 className="sr">Home</h1>
      <div className="home">
        <div className="col">
          <section className="panel totals" aria-label="Totals">
            {([["patients", "/patients", ""], ["studies", "/studies", ""], ["series", "/series", kinds], ["images", "/images", ""]] as const).map(([name, to, detail]) => (
              <Link key={name} to={to}><b>{counts ? show(counts[name]?.totalCount) : "…"}</b><span>{name}{detail && `: ${detail}`}</span></Link>
            ))}
            <Link to="/elements"><b>{counts ? show(counts.definitions?.totalCount) : "…"}</b><span>elements{counts?.private ? `, ${show(counts.private.totalCount)} private` : ""}</span></Link>
          </section>
          <section className="panel">
            <header><h2>Latest studies</h2><div className="end">
              <span className="seg" role="group" aria-label="Order">{(["date", "import"] as const).map((each) => <button key={each} type="button" aria-pressed={(each === "import") === byImport} onClick={() => { void navigate({ to: "/", search: (each === "import" ? { latest: "import" } : {}) as never, replace: true }); }}>by {each}</button>)}</span>
              <Link className="link" to="/studies" search={{ s: "-date" }}>All</Link>
            </div></header>
            {latest.error && <Failure error={latest.error} again={() => { again({ requestPolicy: "network-only" }); }} />}
            {latest.fetching && !latest.data && <Loading what="studies" />}
            <ul className="studies">{studies.map((study) => {
              const patient = study.patients.nodes[0];
              const first = study.series.nodes[0];
              return (
                <li key={study.id}><Link className="study" to="/studies/$uid" params={{ uid: study.uid }}>
                  <span className="strip">{study.series.nodes.slice(0, 5).map((each) => <Picture key={each.uid} kind="series" uid={each.uid} label={each.modality ?? ""} size={60} />)}{study.nSeries > 5 && <span className="rest">+{study.nSeries - 5}</span>}</span>
                  <span className="what"><span>{study.description ?? "(no description)"}</span><span className="muted">{[patient?.fullName ?? patient?.uid, [...new Set(study.series.nodes.map((each) => each.modality))].filter(Boolean).join(", "), first?.manufacturerModelName].filter(Boolean).join(" · ")}</span></span>
                  <span className="when"><span>{study.date ?? "no date"}</span><span className="muted">{plural(study.nSeries, "series", "series")} · {plural(study.nImages, "image")}</span></span>
                </Link></li>
              );
            })}</ul>
          </section>
        </div>
        <div className="col">
          {jobs.data?.running?.nodes.map((job) => <section className="panel" key={job.id}><Progress job={job} /></section>)}
          <section className="panel"><header><h2>Needs attention</h2></header>
            <ul className="todo">
              {jobs.data?.failed?.nodes.map((job) => <li key={job.id}><Icon name="fail" className="f" /><div>{plural(job.failed, "file")} failed<p className="clip">{job.paths.join(", ")}</p></div><Link className="link" to="/imports/$id" params={{ id: job.id }}>Look</Link></li>)}
              {!!attention.data?.missing?.totalCount && <li><Icon name="fail" className="f" /><div>{plural(attention.data.missing.totalCount, "image")} lost their file<p>Moved or deleted since the last sync</p></div><Link className="link" to="/images" search={{ f: ["image.missing=true"] }}>Look</Link></li>}
              {!!attention.data?.warned?.totalCount && <li><Icon name="warn" className="w" /><div>{show(attention.data.warned.totalCount)} series have warnings<p>Values that cannot be read, or that contradict each other</p></div><Link className="link" to="/quality">Look</Link></li>}
              {!!attention.data?.undated?.totalCount && <li><Icon name="warn" className="w" /><div>{plural(attention.data.undated.totalCount, "study has", "studies have")} no date<p>StudyDate is empty or cannot be read</p></div><Link className="link" to="/studies" search={{ f: ["study.date="] }}>Look</Link></li>}
              {attention.data && !attention.data.warned?.totalCount && !attention.data.missing?.totalCount && !attention.data.undated?.totalCount && !jobs.data?.failed?.nodes.length && <li><span /><div>Nothing does.</div></li>}
            </ul>
          </section>
          <Growth jobs={jobs.data?.recent?.nodes ?? []} />
          <section className="panel"><header><h2>Scanners</h2><div className="end">series <Link className="link" to="/explore" search={{ by: "manufacturerModelName" } as never}>Explore</Link></div></header>
            <ul className="bars">{scannersShown.map((each) => (
              <li key={show(each.value)}><Link to="/series" search={{ f: [`series.manufacturerModelName=${show(each.value)}`] }} className="clip">{show(each.value)}</Link><span className="meter" aria-hidden="true"><i className="s" ref={(node) => { if (node) node.style.width = `${String((100 * each.count) / most)}%`; }} /></span><span className="num">{show(each.count)}</span></li>
            ))}</ul>
          </section>
        </div>
      </div>
    </div>
  );
}

/** Images by the month in which they were imported, of the last year. */
function Growth({ jobs }: { jobs: readonly { createdAt: string; created: number }[] }) {
  const now = new Date();
  const months = Array.from({ length: 12 }, (_, i) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 11 + i, 1)).toISOString().slice(0, 7));
  const sums = months.map((month) => jobs.filter((job) => job.createdAt.startsWith(month)).reduce((sum, job) => sum + job.created, 0));
  const most = Math.max(...sums);
  if (most === 0) return null;
  return (
    <section className="panel"><header><h2>Images by month of import</h2><div className="end">12 months</div></header>
      <ul className="columns-plot" aria-label={months.map((month, i) => `${month}: ${String(sums[i])}`).join(", ")}>{months.map((month, i) => (
        <li key={month} title={`${month}: ${show(sums[i] ?? 0)} images`}><span className="n">{sums[i] ? show(sums[i]) : ""}</span><i ref={(node) => { if (node) node.style.height = `${String((90 * (sums[i] ?? 0)) / most)}px`; }} /><span>{new Date(`${month}-01`).toLocaleString("en", { month: "short", timeZone: "UTC" })}</span></li>
      ))}</ul>
    </section>
  );
}
