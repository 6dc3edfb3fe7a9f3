import { Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { useMutation, useQuery } from "urql";
import { graphql } from "../gql";
import { plural, show } from "../lib/fields";
import { reasonsOf, type Told } from "../lib/reasons";
import { Icon } from "./icons";
import { isRunning, Progress, State } from "./progress";
import { Empty, Failure, Loading } from "./states";

const JOB = graphql(`
  query Import($id: ID!) {
    importJob(id: $id) {
      id status paths mode pattern origin storage sync prune verify found processed created updated existing skipped failed missing moved
      error createdAt startedAt finishedAt imagesPerSecond failures(first: 10000) { path message code } skippedFiles { path reason } retryOf { id } retries { id }
    }
  }
`);
const RETRY = graphql(`mutation RetryImport($input: RetryImportInput!) { retryImport(input: $input) { job { id } errors { message code } } }`);
const ORIGINS: Record<string, string> = { CLI: "the command line", API: "this server’s API", WATCH: "a watched folder" };
const FILES_OF_A_REASON = 50;

/** What came of an import: what failed and what was skipped, by reason, and whether a retry can help. */
export function Report({ id, canImport, started }: { id: string; canImport: boolean; started: () => void }) {
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [tab, setTab] = useState<"failed" | "skipped" | null>(null);
  const [{ data, error, fetching }, again] = useQuery({ query: JOB, variables: { id } });
  const [result, retry] = useMutation(RETRY);
  const job = data?.importJob;
  // The progress tells of the end by way of the cache; which files were not taken has to be asked for.
  const runs = job ? isRunning(job.status) : null;
  const ran = useRef(false);
  useEffect(() => {
    if (ran.current && runs === false) { again({ requestPolicy: "network-only" }); started(); }
    ran.current = runs ?? false;
  });
  if (error) return <Failure error={error} />;
  if (!job) return fetching ? <Loading what="the report" /> : <section className="panel"><Empty title="There is no such import" /></section>;
  const lists = {
    failed: job.failures.map(({ path, message, code }): Told => ({ path, text: message, code })),
    skipped: job.skippedFiles.map(({ path, reason }): Told => ({ path, text: reason })),
  };
  const shown = tab ?? (lists.failed.length || !lists.skipped.length ? "failed" : "skipped");
  const listed = lists[shown].filter((each) => !text || `${each.path} ${each.text}`.toLowerCase().includes(text.toLowerCase()));
  const seconds = job.startedAt && job.finishedAt ? (Date.parse(job.finishedAt) - Date.parse(job.startedAt)) / 1000 : null;
  const go = async () => { const { data: made } = await retry({ input: { id } }); if (made?.retryImport.job) { started(); void navigate({ to: "/imports/$id", params: { id: made.retryImport.job.id } }); } };
  const counts = { failed: job.failed, skipped: job.skipped };
  return (
    <section className="panel report" aria-label="Report">
      {isRunning(job.status) ? <Progress job={job} /> : <header><h2>Report</h2><State status={job.status} failed={job.failed} /><div className="end"><Link to="/imports" className="btn plain icon-only" aria-label="Close"><Icon name="x" /></Link></div></header>}
      <dl className="kv">
        <dt>Paths</dt><dd className="mono">{job.paths.slice(0, 5).join(", ")}{job.paths.length > 5 && ` and ${show(job.paths.length - 5)} more`}</dd>
        <dt>Started</dt><dd>{job.createdAt.slice(0, 16).replace("T", " ")}, by {ORIGINS[job.origin] ?? job.origin.toLowerCase().replace("_", " ")}</dd>
        <dt>How</dt><dd>{job.sync ? "sync" : `${job.mode.toLowerCase()} headers`}, files {job.storage === "IN_PLACE" ? "stay in place" : job.storage === "COPY" ? "are copied" : "are moved"}{job.pattern && <>, only <span className="mono">{job.pattern}</span></>}</dd>
        {seconds !== null && <><dt>Took</dt><dd>{show(Math.round(seconds * 100) / 100)} s{job.imagesPerSecond ? `, ${show(Math.round(job.imagesPerSecond))} images/s` : ""}</dd></>}
        <dt>Found</dt><dd>{plural(job.found, "file")}: {show(job.created)} created, {show(job.updated)} updated, {show(job.existing)} existing{job.sync && `, ${show(job.missing)} missing, ${show(job.moved)} moved`}</dd>
        {job.retryOf && <><dt>Retry of</dt><dd><Link className="link" to="/imports/$id" params={{ id: job.retryOf.id }}>an earlier import</Link></dd></>}
        {job.retries.length > 0 && <><dt>Retried</dt><dd>{job.retries.map((each, i) => <Link key={each.id} className="link" to="/imports/$id" params={{ id: each.id }}>{i ? `, again` : "in a later import"}</Link>)}</dd></>}
      </dl>
      {job.error && <div className="notes"><div className="note fail"><Icon name="fail" /><p>{job.error}</p></div></div>}
      <div className="tabs" role="tablist" aria-label="Files">
        {(["failed", "skipped"] as const).map((each) => <button key={each} type="button" role="tab" aria-selected={each === shown} onClick={() => { setTab(each); }}>{each === "failed" ? "Failed" : "Skipped"} <span className="quiet">{show(counts[each])}</span></button>)}
        <div className="end"><input type="search" aria-label="Find among the files" placeholder="Path or reason" value={text} onChange={(event) => { setText(event.target.value); }} /></div>
      </div>
      <div role="tabpanel" aria-label={shown === "failed" ? "Failed" : "Skipped"}>
        {listed.length === 0 && <p className="hint quiet">{text ? "No file matches." : shown === "failed" ? "No file failed." : "No file was skipped."}</p>}
        {reasonsOf(listed).map((reason) => (
          <div key={reason.title}><h3 className="kind"><span>{reason.title} <span className="quiet">{show(reason.files.length)}</span></span>{shown === "failed" && <span className="quiet end">{reason.help}</span>}</h3>
            <ul className="fails">{reason.files.slice(0, FILES_OF_A_REASON).map((each) => <li key={each.path}><Icon name={shown === "failed" ? "fail" : "file"} className={shown === "failed" ? "" : "q"} /><span className="mono" title={each.path}>{each.path}</span><span /><p>{each.text}</p></li>)}
              {reason.files.length > FILES_OF_A_REASON && <li><span /><span className="quiet">and {show(reason.files.length - FILES_OF_A_REASON)} more</span></li>}</ul></div>
        ))}
        {counts[shown] > lists[shown].length && <p className="hint quiet">The first {show(lists[shown].length)} of {show(counts[shown])}.</p>}
      </div>
      {lists.failed.length > 0 && <div className="do-row">
        {canImport && !isRunning(job.status) && <button type="button" className="btn primary" disabled={result.fetching} onClick={() => { void go(); }}>Retry {plural(job.failed, "file")}</button>}
        <button type="button" className="btn" onClick={() => { void navigator.clipboard.writeText(listed.map((each) => each.path).join("\n")); }}>Copy paths</button>
        <span className="quiet end">Retrying reads these files alone.</span>
      </div>}
      {result.data?.retryImport.errors.map((each) => <div className="note fail" role="alert" key={each.code}><Icon name="fail" /><div><p>{each.message}</p><p className="quiet mono">{each.code}</p></div></div>)}
    </section>
  );
}
