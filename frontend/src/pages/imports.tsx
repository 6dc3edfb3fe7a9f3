import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useRef, useState, type DragEvent } from "react";
import { useMutation, useQuery } from "urql";
import { graphql } from "../gql";
import { at } from "../lib/base";
import { textOf } from "../lib/address";
import { plural, show } from "../lib/fields";
import { useViewer } from "../lib/viewer";
import { Code } from "../parts/code";
import { Icon } from "../parts/icons";
import { useKeys } from "../parts/keys";
import { isRunning, Progress, State } from "../parts/progress";
import { Report } from "../parts/report";
import { Empty, Failure, Loading } from "../parts/states";

const JOBS = graphql(`
  query Imports($filter: ImportJobFilter) {
    importJobs(filter: $filter, orderBy: [{ field: ID, direction: DESC }], first: 50) {
      nodes { id status paths mode sync found processed created updated existing skipped failed missing moved imagesPerSecond createdAt }
    }
  }
`);
const ROOTS = graphql(`query ImportRoots { importRoots }`);
const FOLDER = graphql(`query Folder($path: String!) { importFolder(path: $path) { path parent hasMore entries { name path isFolder size isDicom } } }`);
const START = graphql(`mutation StartImport($input: ImportPathInput!) { importPath(input: $input) { job { id } errors { message code } } }`);
const SYNC = graphql(`mutation StartSync($input: SyncPathInput!) { syncPath(input: $input) { job { id } errors { message code } } }`);
const CANCEL = graphql(`mutation CancelImport($input: CancelImportInput!) { cancelImport(input: $input) { job { id status cancelRequested } errors { message code } } }`);

/** Imports: start one, what runs, what came of each. */
export function Imports() {
  const { id } = useParams({ strict: false });
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const viewer = useViewer();
  const show_ = textOf(search, "show") || "all";
  const filter = { all: null, failures: { failed: { gt: 0 } }, syncs: { sync: true } }[show_] ?? null;
  const [{ data, error, fetching }, again] = useQuery({ query: JOBS, variables: { filter } });
  const panel = textOf(search, "panel");
  const set = (change: Record<string, unknown>) => { void navigate({ to: ".", search: { ...search, ...change } as never, replace: true }); };
  useKeys((event) => { if (event.key === ".") set({ panel: panel ? undefined : "code" }); else if (event.key === "Escape") set({ panel: undefined }); });
  const refresh = () => { again({ requestPolicy: "network-only" }); };
  const jobs = data?.importJobs?.nodes ?? [];
  return (
    <div className="page">
      <div className="head"><div className="grow"><h1>Imports</h1></div><div className="actions"><button type="button" className="btn" aria-expanded={panel === "code"} onClick={() => { set({ panel: panel ? undefined : "code" }); }}><Icon name="code" /> <span className="lbl">Show as GraphQL</span></button></div></div>
      {panel === "code" && <div className="panel inline-code"><Code document={JOBS} variables={{ filter }} close={() => { set({ panel: undefined }); }} /></div>}
      <div className={id ? "imports" : "imports one"}>
        <div className="col">
          {jobs.filter((job) => isRunning(job.status)).map((job) => <section className="panel" key={job.id}><Progress job={job} done={refresh} />{viewer?.canImport && <Cancel id={job.id} />}</section>)}
          {viewer?.canImport && <Start canSync={viewer.canEdit} started={(job) => { refresh(); void navigate({ to: "/imports/$id", params: { id: job } }); }} />}
          <section className="panel"><header><h2>History</h2><div className="end"><span className="seg" role="group" aria-label="Which imports">{[["all", "all"], ["failures", "with failures"], ["syncs", "syncs"]].map(([key, name]) => <button key={key} type="button" aria-pressed={show_ === key} onClick={() => { set({ show: key === "all" ? undefined : key }); }}>{name}</button>)}</span></div></header>
            {error && <Failure error={error} again={refresh} />}
            {fetching && !data && <Loading what="imports" />}
            {data && jobs.length === 0 && <Empty title="No imports here"><p>{show_ === "all" ? "Nothing has been imported yet." : "None of this kind."}</p></Empty>}
            {jobs.length > 0 && <div className="wide" tabIndex={0} role="region" aria-label="History"><table><thead><tr><th>State</th><th>Paths</th><th>Mode</th><th className="num">Found</th><th className="num">Created</th><th className="num">Skipped</th><th className="num">Failed</th><th className="num">Started</th></tr></thead>
              <tbody>{jobs.map((job) => <tr key={job.id} aria-selected={job.id === id}>
                <td><Link to="/imports/$id" params={{ id: job.id }}><State status={job.status} failed={job.failed} /></Link></td>
                <td className="mono path"><Link to="/imports/$id" params={{ id: job.id }} title={job.paths.join("\n")}>{job.paths[0]}{job.paths.length > 1 ? ` and ${String(job.paths.length - 1)} more` : ""}</Link></td>
                <td>{job.sync ? "sync" : job.mode.toLowerCase()}</td><td className="num">{show(job.found)}</td><td className="num">{show(job.created)}</td><td className="num">{show(job.skipped)}</td><td className={job.failed ? "num failed" : "num"}>{show(job.failed)}</td><td className="num">{job.createdAt.slice(0, 16).replace("T", " ")}</td>
              </tr>)}</tbody></table></div>}
          </section>
          <InStep sync={jobs.find((job) => job.sync && !isRunning(job.status))} canSync={viewer?.canEdit ?? false} started={refresh} />
        </div>
        {id && <Report id={id} canImport={viewer?.canImport ?? false} started={refresh} />}
      </div>
    </div>
  );
}

interface Synced { id: string; status: string; paths: string[]; createdAt: string; missing: number; moved: number }
/** The last sync, and what it found gone. */
function InStep({ sync, canSync, started }: { sync: Synced | undefined; canSync: boolean; started: () => void }) {
  const [result, again] = useMutation(SYNC);
  if (!sync) return null;
  const path = sync.paths.length === 1 ? sync.paths[0] : undefined;
  return (
    <section className="panel"><header><h2>In step with the disk</h2>{canSync && path && <div className="end"><button type="button" className="btn small" disabled={result.fetching} onClick={() => { void again({ input: { path } }).then(started); }}>Sync now</button></div>}</header>
      <div className="count run"><span className="mono">{sync.paths.join(", ")}</span><span>last sync {sync.createdAt.slice(0, 16).replace("T", " ")}</span><span><b>{show(sync.missing)}</b> missing</span><span><b>{show(sync.moved)}</b> moved</span></div>
      {result.data?.syncPath.errors.map((each) => <div className="note fail" role="alert" key={each.code}><Icon name="fail" /><p>{each.message}</p></div>)}
    </section>
  );
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
  const picker = useRef<HTMLInputElement>(null), folders = useRef<HTMLInputElement>(null);
  const errors = [...(startResult.data?.importPath.errors ?? []), ...(syncResult.data?.syncPath.errors ?? [])];
  const send = async (files: File[]) => {
    setRefused(files.length ? "" : "There is no file in what was dropped.");
    if (!files.length) return;
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
    // Folders are read before the event is over: the list of what was dropped does not outlive it.
    const reading = Promise.all(entries.map(filesOf));
    setSending("what was dropped");
    try { await send((await reading).flat()); } catch { setSending(""); setRefused("The browser could not read what was dropped."); }
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
            <span className="row"><button type="button" className="btn small" onClick={() => { picker.current?.click(); }}>Choose files</button><button type="button" className="btn small" onClick={() => { folders.current?.click(); }}>Choose a folder</button></span>
            <span className="quiet">copied to the storage root of the server</span>
            <input ref={folders} type="file" {...{ webkitdirectory: "" }} hidden aria-label="Folder to import" onChange={(event) => { void send([...(event.target.files ?? [])]); event.target.value = ""; }} />
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
