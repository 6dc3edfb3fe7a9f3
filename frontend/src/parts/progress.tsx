import { Link } from "@tanstack/react-router";
import { useEffect, useRef } from "react";
import { useSubscription } from "urql";
import { graphql } from "../gql";
import { show } from "../lib/fields";
import { Icon } from "./icons";

export const PROGRESS = graphql(`
  subscription ImportProgress($id: ID!) {
    importProgress(jobId: $id) { id status paths found processed created updated existing skipped failed missing moved imagesPerSecond error finishedAt }
  }
`);
export interface Job { id: string; status: string; paths: string[]; found: number; processed: number; created: number; skipped: number; failed: number; imagesPerSecond?: number | null }

export const isRunning = (status: string): boolean => status === "PENDING" || status === "RUNNING";

/** What became of an import, in a word. */
export function State({ status, failed }: { status: string; failed: number }) {
  if (failed > 0 || status === "FAILED") return <span className="tag fail"><Icon name="fail" />{failed > 0 ? `${show(failed)} failed` : "failed"}</span>;
  return <span className={isRunning(status) ? "tag accent" : "tag"}>{status.toLowerCase()}</span>;
}

/** An import as it goes on; told to screen readers at each quarter. */
export function Progress({ job, done }: { job: Job; done?: () => void }) {
  const [{ data }] = useSubscription({ query: PROGRESS, variables: { id: job.id }, pause: !isRunning(job.status) });
  const now = data?.importProgress ?? job;
  const share = now.found ? now.processed / now.found : 0;
  const told = useRef(done);
  told.current = done;
  useEffect(() => { if (!isRunning(now.status)) told.current?.(); }, [now.status]);
  const left = now.imagesPerSecond && now.found > now.processed ? Math.ceil((now.found - now.processed) / now.imagesPerSecond) : null;
  return (
    <>
      <header><h2><Link to="/imports/$id" params={{ id: job.id }}>Import</Link></h2><span className="tag accent">{now.status.toLowerCase()}</span><div className="end">{left !== null && `${show(left)} s left`}</div></header>
      <div className="run">
        <p className="mono clip">{now.paths.join(", ")}</p>
        <div className="meter" role="progressbar" aria-label="Files read" aria-valuenow={Math.round(share * 100)}><i ref={(node) => { if (node) node.style.width = `${String(share * 100)}%`; }} /></div>
        <div className="count"><span><b>{show(now.processed)}</b> of {show(now.found)}</span>{now.imagesPerSecond ? <span><b>{show(Math.round(now.imagesPerSecond))}</b>/s</span> : null}<span><b>{show(now.created)}</b> created</span><span><b>{show(now.skipped)}</b> skipped</span><span><b>{show(now.failed)}</b> failed</span></div>
        <p className="sr" role="status">{Math.floor(share * 4) * 25} %{now.failed ? `, ${String(now.failed)} failed` : ""}</p>
      </div>
    </>
  );
}
