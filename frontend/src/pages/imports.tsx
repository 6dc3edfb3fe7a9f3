import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useRef, useState, type DragEvent } from "react";
import { useMutation, useQuery } from "urql";
import { graphql } from "../gql";
import { at } from "../lib/base";
import { textOf } from "../lib/address";
import { plural, show } from "../lib/fields";
import { useViewer } from "../lib/viewer";
import { Icon } from "../parts/icons";
import { isRunning, Progress } from "../parts/progress";
import { Empty, Failure, Loading } from "../parts/states";

const JOBS = graphql(`
  query Imports($filter: ImportJobFilter) {
    importJobs(filter: $filter, orderBy: [{ field: ID, direction: DESC }], first: 50) {
      nodes { id status paths mode sync found processed created updated existing skipped failed missing moved imagesPerSecond createdAt }
    }
  }
`);
const JOB = graphql(`
  query Import($id: ID!) {
    importJob(id: $id) {
      id status paths mode pattern origin storage sync prune verify found processed created updated existing skipped failed missing moved
      error createdAt startedAt finishedAt imagesPerSecond failures { path message } retryOf { id } retries { id }
    }
  }
`);
const ROOTS = graphql(`query ImportRoots { importRoots }`);
const FOLDER = graphql(`query Folder($path: String!) { importFolder(path: $path) { path parent hasMore entries { name path isFolder size isDicom } } }`);
const START = graphql(`mutation StartImport($input: ImportPathInput!) { importPath(input: $input) { job { id } errors { message code } } }`);
const SYNC = graphql(`mutation StartSync($input: SyncPathInput!) { syncPath(input: $input) { job { id } errors { message code } } }`);
const CANCEL = graphql(`mutation CancelImport($input: CancelImportInput!) { cancelImport(input: $input) { job { id status cancelRequested } errors { message code } } }`);
const RETRY = graphql(`mutation RetryImport($input: RetryImportInput!) { retryImport(input: $input) { job { id } errors { message code } } }`);

/** Imports: start one, what runs, what came of each. */
export function Imports() {
  const { id } = useParams({ strict: false });
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const viewer = useViewer();
  const show_ = textOf(search, "show") || "all";
  const filter = { all: null, failures: { failed: { gt: 0 } }, syncs: { sync: true } }[show_] ?? null;
  const [{ data, error, fetching }, again] = useQuery({ query: JOBS, variables: { filter } });
  const refresh = () => { again({ requestPolicy: "network-only" }); };
  const jobs = data?.importJobs?.nodes ?? [];
  return (
    <div className="page">
      <div className="head"><h1>Imports</h1></div>
      <div className={id ? "imports" : "imports one"}>
        <div className="col">
          {jobs.filter((job) => isRunning(job.status)).map((job) => <section className="panel" key={job.id}><Progress job={job} done={refresh} />{viewer?.canImport && <Cancel id={job.id} />}</section>)}
          {viewer?.canImport && <Start canSync={viewer.canEdit} started={(job) => { refresh(); void navigate({ to: "/imports/$id", params: { id: job } }); }} />}
          <section className="panel"><header><h2>History</h2><div className="end"><span className="seg" role="group" aria-label="Which imports">{[["all", "all"], ["failures", "with failures"], ["syncs", "syncs"]].map(([key, name]) => <button key={key} type="button" aria-pressed={show_ === key} onClick={() => { void navigate({ to: ".", search: { ...search, show: key === "all" ? undefined : key } as never, replace: true }); }}>{name}</button>)}</span></div></header>
            {error && <Failure error={error} again={refresh} />}
            {fetching && !data && <Loading what="imports" />}
            {data && jobs.length === 0 && <Empty title="No imports here"><p>{show_ === "all" ? "Nothing has been imported yet." : "None of this kind."}</p></Empty>}
            {jobs.length > 0 && <div className="wide" tabIndex={0} role="region" aria-label="History"><table><thead><tr><th>State</th><th>Paths</th><th>Mode</th><th className="num">Found</th><th className="num">Created</th><th className="num">Skipped</th><th className="num">Failed</th><th className="num">Started</th></tr></thead>
              <tbody>{jobs.map((job) => <tr key={job.id} aria-selected={job.id === id}>
                <td><Link to="/imports/$id" params={{ id: job.id }}><State status={job.status} failed={job.failed} /></Link></td>
                <td className="mono path"><Link to="/imports/$id" params={{ id: job.id }} title={job.paths.join("\n")}>{job.paths[0]}{job.paths.length > 1 ? ` and ${String(job.paths.length - 1)} more` : ""}</Link></td>
                <td>{job.sync ? "sync" : job.mode.toLowerCase()}</td><td className="num">{show(job.found)}</td><td className="num">{show(job.created)}</td><td className="num">{show(job.skipped)}</td><td className="num">{show(job.failed)}</td><td className="num">{job.createdAt.slice(0, 16).replace("T", " ")}</td>
              </tr>)}</tbody></table></div>}
          </section>
        </div>
        {id && <Report id={id} canImport={viewer?.canImport ?? false} started={refresh} />}
      </div>
    </div>
  );
}

function State({ status, failed }: { status: string; failed: number }) {
  if (failed > 0 || status === "FAILED") return <span className="tag fail"><Icon name="fail" />{failed > 0 ? `${show(failed)} failed` : "failed"}</span>;
  return <span className={isRunning(status) ? "tag accent" : "tag"}>{status.toLowerCase()}</span>;
}

function Cancel({ id }: { id: string }) {
  const [result, cancel] = useMutation(CANCEL);
  return <p className="hint"><button type="button" className="btn small" disabled={result.fetching} onClick={() => { void cancel({ input: { id } }); }}>Cancel</button> {result.data?.cancelImport.errors.map((each) => <span key={each.code} role="alert">{each.message}</span>)}</p>;
}

/** A path of the server, or files of this computer. */
function Start({ canSync, started }: { canSync: boolean; started: (id: string) => void }) {
  const [mode, setMode] = useState("FULL");
  const [path, setPath] = useState("");
  const [{ data: roots }] = useQuery({ query: ROOTS });
  const [folder] = useQuery({ query: FOLDER, variables: { path }, pause: !path });
  const [startResult, start] = useMutation(START);
  const [syncResult, sync] = useMutation(SYNC);
  const [sending, setSending] = useState("");
  const [refused, setRefused] = useState("");
  const [over, setOver] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const errors = [...(startResult.data?.importPath.errors ?? []), ...(syncResult.data?.syncPath.errors ?? [])];
  const send = async (files: File[]) => {
    if (!files.length) return;
    setRefused("");
    setSending(plural(files.length, "file"));
    const form = new FormData();
    for (const file of files) form.append("file", file, file.name);
    try {
      const answer = await fetch(at(`/upload?mode=${mode.toLowerCase()}`), { method: "POST", body: form, headers: { "X-Requested-With": "pages" } });
      const body = (await answer.json()) as { jobId?: string; errors?: { message: string }[] };
      if (!answer.ok || !body.jobId) setRefused(body.errors?.[0]?.message ?? "The server did not take the files.");
      else started(body.jobId);
    } catch { setRefused("The server cannot be reached: nothing was sent."); }
    setSending("");
  };
  const drop = async (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
    await send((await Promise.all(entries.map(filesOf))).flat());
  };
  const go = async () => { const { data } = await start({ input: { path, mode: mode as "FULL" } }); if (data?.importPath.job) started(data.importPath.job.id); };
  const goSync = async () => { const { data } = await sync({ input: { path, mode: mode as "FULL" } }); if (data?.syncPath.job) started(data.syncPath.job.id); };
  const entries = path ? (folder.data?.importFolder?.entries ?? []) : [];
  return (
    <section className="panel"><header><h2>Start an import</h2><div className="end"><label>Mode <select value={mode} onChange={(event) => { setMode(event.target.value); }}><option value="FULL">full: private elements too</option><option value="NORMAL">normal: standard elements</option><option value="MINIMAL">minimal: no headers</option></select></label></div></header>
      <div className="drop">
        <div><h3>From the server</h3>
          {folder.error && path && <Failure error={folder.error} />}
          <ul className="browse">
            {!path && (roots?.importRoots ?? []).map((root) => <li key={root}><Icon name="folder" /><button type="button" className="mono" onClick={() => { setPath(root); }}>{root}</button><span className="quiet end">import root</span></li>)}
            {!path && roots?.importRoots?.length === 0 && <li className="quiet">No import root is set: start the server with --import-root.</li>}
            {path && <li><Icon name="folder" /><button type="button" onClick={() => { setPath(folder.data?.importFolder?.parent ?? ""); }}>.. up</button></li>}
            {entries.filter((entry) => entry.isFolder).map((entry) => <li key={entry.name}><Icon name="folder" /><button type="button" className="mono" disabled={!entry.path} onClick={() => { setPath(entry.path ?? path); }}>{entry.name}</button></li>)}
            {path && entries.some((entry) => !entry.isFolder) && <li className="quiet">{plural(entries.filter((entry) => !entry.isFolder).length, "file")}, {entries.filter((entry) => entry.isDicom).length} DICOM{folder.data?.importFolder?.hasMore ? ", and more" : ""}</li>}
          </ul>
          {path && <div className="row"><button type="button" className="btn primary" disabled={startResult.fetching} onClick={() => { void go(); }}><span className="clip">Import {path.split("/").at(-1)}</span></button>{canSync && <button type="button" className="btn" onClick={() => { void goSync(); }}>Sync instead</button>}</div>}
          <p className="quiet">Files are only read.{canSync && " Sync also marks what is gone."}</p>
        </div>
        <div><h3>From this computer</h3>
          <div className={over ? "zone over" : "zone"} onDragOver={(event) => { event.preventDefault(); setOver(true); }} onDragLeave={() => { setOver(false); }} onDrop={(event) => { void drop(event); }}>
            <Icon name="up" /><span>{sending ? `Sending ${sending}…` : "Drop files, folders or zips here"}</span>
            <button type="button" className="btn small" onClick={() => { picker.current?.click(); }}>Choose files</button>
            <input ref={picker} type="file" multiple hidden aria-label="Files to import" onChange={(event) => { void send([...(event.target.files ?? [])]); event.target.value = ""; }} />
          </div>
          {refused && <div className="note fail" role="alert"><Icon name="fail" /><p>{refused}</p></div>}
        </div>
      </div>
      {errors.map((each) => <div className="note fail" role="alert" key={each.code}><Icon name="fail" /><div><p>{each.message}</p><p className="quiet mono">{each.code}</p></div></div>)}
    </section>
  );
}

/** The files of what was dropped, those of folders too. */
async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) return [await new Promise<File>((resolve, reject) => { (entry as FileSystemFileEntry).file(resolve, reject); })];
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: File[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!some.length) return found;
    found.push(...(await Promise.all(some.map(filesOf))).flat());
  }
}

/** What came of an import; its failures by reason. */
function Report({ id, canImport, started }: { id: string; canImport: boolean; started: () => void }) {
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [{ data, error, fetching }, again] = useQuery({ query: JOB, variables: { id } });
  const [result, retry] = useMutation(RETRY);
  const job = data?.importJob;
  if (error) return <Failure error={error} />;
  if (!job) return fetching ? <Loading what="the report" /> : <section className="panel"><Empty title="There is no such import" /></section>;
  const failures = job.failures.filter((each) => !text || `${each.path} ${each.message}`.toLowerCase().includes(text.toLowerCase()));
  const kinds = new Map<string, typeof failures>();
  for (const each of failures) { const kind = each.message.replace(/\d+/g, "N").split(/[:,(]/)[0]?.trim() ?? ""; kinds.set(kind, [...(kinds.get(kind) ?? []), each]); }
  const seconds = job.startedAt && job.finishedAt ? (Date.parse(job.finishedAt) - Date.parse(job.startedAt)) / 1000 : null;
  const go = async () => { const { data: made } = await retry({ input: { id } }); if (made?.retryImport.job) { started(); void navigate({ to: "/imports/$id", params: { id: made.retryImport.job.id } }); } };
  return (
    <section className="panel" aria-label="Report">
      {isRunning(job.status) ? <Progress job={job} done={() => { again({ requestPolicy: "network-only" }); started(); }} /> : <header><h2>Report</h2><State status={job.status} failed={job.failed} /><div className="end"><Link to="/imports" className="btn plain icon-only" aria-label="Close"><Icon name="x" /></Link></div></header>}
      <dl className="kv">
        <dt>Paths</dt><dd className="mono">{job.paths.slice(0, 5).join(", ")}</dd><dt>Started</dt><dd>{job.createdAt.slice(0, 16).replace("T", " ")}, by {job.origin.toLowerCase()}, {job.sync ? "sync" : job.mode.toLowerCase()}, {job.storage.toLowerCase().replace("_", " ")}</dd>
        {seconds !== null && <><dt>Took</dt><dd>{show(Math.round(seconds * 100) / 100)} s{job.imagesPerSecond ? `, ${show(Math.round(job.imagesPerSecond))} images/s` : ""}</dd></>}
        <dt>Found</dt><dd>{show(job.found)} files: {show(job.created)} created, {show(job.updated)} updated, {show(job.existing)} existing, {show(job.skipped)} skipped as no DICOM, {show(job.failed)} failed{job.sync && `, ${show(job.missing)} missing, ${show(job.moved)} moved`}</dd>
        {job.retryOf && <><dt>Retry of</dt><dd><Link className="link" to="/imports/$id" params={{ id: job.retryOf.id }}>an earlier import</Link></dd></>}
      </dl>
      {job.error && <div className="notes"><div className="note fail"><Icon name="fail" /><p>{job.error}</p></div></div>}
      {job.failures.length > 0 && <>
        <div className="find-row row"><input type="search" aria-label="Find among the failures" placeholder="Path or reason" value={text} onChange={(event) => { setText(event.target.value); }} />
          {canImport && !isRunning(job.status) && <button type="button" className="btn" disabled={result.fetching} onClick={() => { void go(); }}>Retry {plural(job.failed, "file")}</button>}
          <button type="button" className="btn plain" onClick={() => { void navigator.clipboard.writeText(failures.map((each) => each.path).join("\n")); }}>Copy paths</button></div>
        {[...kinds].map(([kind, list]) => <div key={kind}><h3 className="kind">{kind} <span className="quiet">{list.length}</span></h3><ul className="fails">{list.slice(0, 50).map((each) => <li key={each.path}><Icon name="fail" /><span className="mono">{each.path}</span><span /><span /><p>{each.message}</p></li>)}</ul></div>)}
      </>}
    </section>
  );
}
