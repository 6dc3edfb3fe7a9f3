import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useClient } from "urql";
import { graphql } from "../gql";
import { at } from "../lib/base";
import type { Column } from "../lib/columns";
import { isListed, PLURAL, plural, show, type Entity } from "../lib/fields";
import { rowsDocument, type Question, type Row } from "../lib/use-rows";
import { useViewer } from "../lib/viewer";
import { Icon } from "./icons";
import { useKeys } from "./keys";

const DELETE = {
  patient: graphql(`mutation DeletePatient($input: DeleteInput!) { done: deletePatient(input: $input) { deletedId nSeries nImages errors { message code } } }`),
  study: graphql(`mutation DeleteStudy($input: DeleteInput!) { done: deleteStudy(input: $input) { deletedId nSeries nImages errors { message code } } }`),
  series: graphql(`mutation DeleteSeries($input: DeleteInput!) { done: deleteSeries(input: $input) { deletedId nSeries nImages errors { message code } } }`),
  image: graphql(`mutation DeleteImage($input: DeleteInput!) { done: deleteImage(input: $input) { deletedId nSeries nImages errors { message code } } }`),
} as const;
const REFRESH = graphql(`mutation Refresh($input: RefreshInput!) { done: refresh(input: $input) { job { id } errors { message code } } }`);
const SAMPLE = graphql(`query SampleImage($id: ID!) { node(id: $id) { ... on Series { id sampleHeader { id image { id uid } } } } }`);
const PAGE = 100;

interface Props {
  entity: Entity; rows: readonly Row[]; all: boolean; setAll: (all: boolean) => void; clear: () => void; changed: () => void;
  question: Question; columns: readonly Column[]; loaded: readonly Row[]; more: boolean;
}

/** What can be done with the selected rows, or with all that match. */
export function Selection({ entity, rows, all, setAll, clear, changed, question, columns, loaded, more }: Props) {
  const viewer = useViewer();
  const client = useClient();
  const navigate = useNavigate();
  const [panel, setPanel] = useState<"delete" | "refresh" | null>(null);
  const [saving, setSaving] = useState("");
  const uids = all ? [] : rows.map((row) => row.uid);
  const words = all ? `all ${more ? "" : `${show(loaded.length)} `}${PLURAL[entity]} that match` : plural(rows.length, entity, PLURAL[entity]);

  // Series of what is selected, as a filter: the downloads are of series.
  const own = all ? (question.filter ?? {}) : { uid: { in: uids } };
  const filter = entity === "series" ? own : entity === "patient" ? { patient: own } : entity === "study" ? { study: own } : null;
  const bySearch = all && question.search && entity !== "series";
  const query = new URLSearchParams();
  if (filter && Object.keys(own).length) query.set("filter", JSON.stringify(filter));
  else if (filter) query.set("filter", "{}");
  if (all && question.search && entity === "series") query.set("search", question.search);
  const csv = new URLSearchParams();
  if (Object.keys(own).length) csv.set("filter", JSON.stringify(own));
  if (all && question.search) csv.set("search", question.search);
  for (const column of columns) {
    if (!column.element) { if (isListed(entity, column.key)) csv.append("column", column.key); }
    else if (!column.element.privateCreator) csv.append("column", column.element.keyword ?? column.element.path ?? "");
  }

  const compare = async () => {
    const chosen = rows.slice(0, 4);
    const found = entity === "image" ? chosen.map((row) => row.uid) : (await Promise.all(chosen.map((row) => client.query(SAMPLE, { id: row.id }).toPromise())))
      .map(({ data }) => (data?.node && "sampleHeader" in data.node ? data.node.sampleHeader?.image?.uid : undefined)).filter((uid) => uid !== undefined);
    await navigate({ to: "/compare", search: { uid: found } as never });
  };
  const canCompare = !all && (entity === "image" || entity === "series") && rows.length > 1 && rows.length < 5;
  useKeys((event) => { if (event.key === "d" && canCompare) void compare(); });

  /** One download after the other: a browser takes several only with a pause between. */
  const saveVolumes = async () => {
    const wanted = all ? loaded : rows;
    for (const [i, row] of wanted.entries()) {
      setSaving(`${String(i + 1)} of ${String(wanted.length)}`);
      const link = document.createElement("a");
      link.href = at(`/series/${encodeURIComponent(row.uid)}/volume.nii.gz`);
      link.download = "";
      link.click();
      await new Promise((resolve) => { window.setTimeout(resolve, 800); });
    }
    setSaving("");
  };
  const canSave = entity === "series" && (!all || !more) && (all ? loaded : rows).length <= 50;
  return (
    <>
      <div className="selbar" role="region" aria-label="Selection">
        <b>{words}</b>
        {!all && (more || loaded.length > rows.length) && <button type="button" className="link" onClick={() => { setAll(true); }}>or all that match</button>}
        <span className="sep" />
        {canSave && <button type="button" className="btn small" disabled={!!saving} onClick={() => { void saveVolumes(); }}><Icon name="down" /> {saving ? `NIfTI ${saving}` : "NIfTI"}</button>}
        {filter && !bySearch && <a className="btn small" href={at(`/series.zip?${query.toString()}`)}><Icon name="down" /> zip</a>}
        <a className="btn small" href={at(`/${PLURAL[entity]}.csv?${csv.toString()}`)}>CSV</a>
        {canCompare && <button type="button" className="btn small" onClick={() => { void compare(); }}><Icon name="compare" /> Compare headers <kbd aria-hidden="true">D</kbd></button>}
        {viewer?.canEdit && <><button type="button" className="btn small" onClick={() => { setPanel("refresh"); }}>Read again…</button><span className="sep" /><button type="button" className="btn small plain danger" onClick={() => { setPanel("delete"); }}>Delete…</button></>}
        <button type="button" className="btn plain icon-only" aria-label="Clear the selection" onClick={clear}><Icon name="x" /></button>
      </div>
      {panel && <Change kind={panel} entity={entity} words={words} rows={all ? null : rows} question={question} close={(isOver) => { setPanel(null); if (isOver && panel === "delete") clear(); }} done={changed} />}
    </>
  );
}

interface Told { done: number; images: number; problems: { text: string; code: string }[]; jobs: string[]; isOver: boolean }

/** A side panel that says what goes, and then does it, one object after the other. */
function Change({ kind, entity, question, close, done, ...given }: { kind: "delete" | "refresh"; entity: Entity; words: string; rows: readonly Row[] | null; question: Question; close: (isOver: boolean) => void; done: () => void }) {
  const client = useClient();
  // As they were when the panel opened: what is deleted leaves the list.
  const [{ rows, words }] = useState({ rows: given.rows, words: given.words });
  const [withFiles, setWithFiles] = useState(false);
  const [told, setTold] = useState<Told | null>(null);
  const images = rows?.reduce((sum, row) => sum + (typeof row["nImages"] === "number" ? row["nImages"] : 1), 0);
  const one = async (id: string, now: Told): Promise<void> => {
    if (kind === "refresh") {
      const { data, error } = await client.mutation(REFRESH, { input: { id } }).toPromise();
      if (data?.done.job) now.jobs.push(data.done.job.id);
      for (const each of data?.done.errors ?? []) now.problems.push({ text: each.message, code: each.code });
      if (error) now.problems.push({ text: error.message, code: "" });
    } else {
      const { data, error } = await client.mutation(DELETE[entity], { input: { id, deleteFiles: withFiles } }).toPromise();
      now.images += data?.done.nImages ?? 0;
      for (const each of data?.done.errors ?? []) now.problems.push({ text: each.message, code: each.code });
      if (error) now.problems.push({ text: error.message, code: "" });
    }
    now.done += 1;
    setTold({ ...now });
  };
  const run = async () => {
    const now: Told = { done: 0, images: 0, problems: [], jobs: [], isOver: false };
    setTold(now);
    if (rows) for (const row of rows) await one(row.id, now);
    else {
      let after: string | null = null;
      for (;;) {
        const variables: Record<string, unknown> = { filter: question.filter, search: question.search, orderBy: [{ field: "ID" }], first: PAGE, after };
        const { data } = await client.query(rowsDocument(entity), variables, { requestPolicy: "network-only" }).toPromise();
        if (!data?.rows) break;
        for (const row of data.rows.nodes) await one(row.id, now);
        // The cursor stays right when what it names is deleted.
        after = data.rows.pageInfo.endCursor ?? null;
        if (!data.rows.pageInfo.hasNextPage) break;
      }
    }
    setTold({ ...now, isOver: true });
    done();
  };
  const title = kind === "delete" ? "Delete" : "Read again";
  return (
    <aside className="sheet panel" aria-label={title}>
      <header><h2>{title}</h2><div className="end"><button type="button" className="btn plain icon-only" aria-label="Close" onClick={() => { close(told?.isOver ?? false); }}><Icon name="x" /></button></div></header>
      <div className="change">
        {kind === "delete"
          ? <p>{words}{images !== undefined && entity !== "image" ? `, with ${plural(images, "image")},` : ""} will be deleted from the database. The source files stay where they are; imported again, all comes back.</p>
          : <p>The files of {words} are read again, and what they say now is written. What a person has set stays.</p>}
        {kind === "delete" && !told && <label className="row"><input type="checkbox" checked={withFiles} onChange={() => { setWithFiles(!withFiles); }} /> Delete the files too: only those inside the storage root of the server; where one lies elsewhere, nothing is deleted</label>}
        {told && <p role="status">{kind === "delete" ? `${show(told.done - told.problems.length)} deleted, ${plural(told.images, "image")}` : `${plural(told.jobs.length, "import")} started`}{told.isOver ? "." : "…"}</p>}
        {told?.problems.slice(0, 5).map((each, i) => <div className="note fail" role="alert" key={i}><Icon name="fail" /><div><p>{each.text}</p><p className="quiet mono">{each.code}</p></div></div>)}
        <div className="do">
          {!told && <button type="button" className={kind === "delete" ? "btn danger" : "btn primary"} onClick={() => { void run(); }}>{title} {words}</button>}
          {told?.isOver && kind === "refresh" && <Link className="btn" to="/imports">Imports</Link>}
          {(told?.isOver ?? !told) && <button type="button" className="btn plain" onClick={() => { close(told !== null); }}>{told ? "Close" : "Cancel"}</button>}
        </div>
      </div>
    </aside>
  );
}
