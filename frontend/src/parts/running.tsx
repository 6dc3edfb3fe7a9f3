import { Link } from "@tanstack/react-router";
import { useEffect } from "react";
import { useQuery, useSubscription } from "urql";
import { graphql } from "../gql";
import { PROGRESS } from "./progress";

const RUNNING = graphql(`
  query Running { importJobs(filter: { status: { in: [PENDING, RUNNING] } }, first: 1) { nodes { id found processed } } }
`);
const AGAIN_MS = 20_000;

/** How far the latest import is that runs; asked for now and then while the page is looked at, followed while one runs. */
export function Running() {
  const [{ data }, again] = useQuery({ query: RUNNING });
  const job = data?.importJobs?.nodes[0];
  const [{ data: news }] = useSubscription({ query: PROGRESS, variables: { id: job?.id ?? "" }, pause: !job });
  const now = news?.importProgress;
  const isOver = !!now && now.id === job?.id && now.status !== "PENDING" && now.status !== "RUNNING";
  useEffect(() => {
    const look = () => { if (document.visibilityState === "visible") again({ requestPolicy: "network-only" }); };
    if (isOver) look();
    const timer = window.setInterval(look, AGAIN_MS);
    return () => { window.clearInterval(timer); };
  }, [again, isOver]);
  if (!job || isOver) return null;
  const { found, processed } = now ?? job;
  const percent = found ? Math.floor((100 * processed) / found) : 0;
  return (
    <Link className="running" to="/imports/$id" params={{ id: job.id }} aria-label={`An import runs: ${String(percent)} %`}>
      <i className="ring" ref={(node) => { node?.style.setProperty("--share", `${String(percent)}%`); }} /><span>{percent} %</span>
    </Link>
  );
}
