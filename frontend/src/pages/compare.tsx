import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { Fragment, useState } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { textOf } from "../lib/address";
import { changeOf, groupsOf, isHolder, isNoise, partsOf, vrOf, type Compared, type ComparedGroup } from "../lib/compared";
import { plural, show } from "../lib/fields";
import { Code } from "../parts/code";
import { Icon } from "../parts/icons";
import { useKeys } from "../parts/keys";
import { Picture } from "../parts/picture";
import { Empty, Failure, Loading } from "../parts/states";

const HEADS = graphql(`
  query ComparedImages($uids: [String!]!) {
    images(filter: { uid: { in: $uids } }, first: 4) {
      nodes { id uid number series { id uid number description modality study { id uid description date } patient { id uid fullName } } }
    }
  }
`);
const COMPARED = graphql(`
  query Compared($ids: [ID!]!, $outcomes: [ComparisonOutcome!]) {
    compareHeaders(ids: $ids) {
      elements(outcomes: $outcomes) { path depth tag privateCreator name outcome values elements { id vr } }
    }
  }
`);
const AT_MOST = 4, ROWS_OF_A_GROUP = 8;

/** Two to four headers side by side. */
export function Compare() {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const uids = (Array.isArray(search["uid"]) ? (search["uid"] as string[]) : []).slice(0, AT_MOST);
  const withEqual = textOf(search, "show") === "all", withNoise = textOf(search, "times") === "yes", withFrames = textOf(search, "frames") === "yes";
  const find = textOf(search, "find"), panel = textOf(search, "panel");
  const set = (change: Record<string, unknown>) => { void navigate({ to: "/compare", search: { ...search, ...change } as never, replace: !("uid" in change) }); };
  useKeys((event) => { if (event.key === ".") set({ panel: panel ? undefined : "code" }); else if (event.key === "Escape") set({ panel: undefined }); });
  const [heads] = useQuery({ query: HEADS, variables: { uids }, pause: uids.length === 0 });
  const found = heads.data?.images?.nodes ?? [];
  const images = uids.map((uid) => found.find((image) => image.uid === uid));
  const ids = images.map((image) => image?.id).filter((id) => id !== undefined);
  const isComplete = uids.length > 1 && ids.length === uids.length;
  const variables = { ids, outcomes: withEqual ? null : (["DIFFERENT", "MISSING"] as ("DIFFERENT" | "MISSING")[]) };
  const [compared, again] = useQuery({ query: COMPARED, variables, pause: !isComplete });
  const rows = ((isComplete ? compared.data?.compareHeaders?.elements : null) ?? []).filter((row) => !isHolder(row));
  const differing = rows.filter((row) => row.outcome !== "EQUAL");
  const noise = differing.filter(isNoise).length;
  const oneSided = differing.filter((row) => row.outcome === "MISSING").length;
  const groups = groupsOf(rows, { withNoise, text: find });
  const error = heads.error ?? compared.error;
  const first = images[0]?.series;
  const missing = heads.data ? uids.filter((_, i) => !images[i]) : [];
  const width = `${String(Math.floor(58 / Math.max(2, uids.length)))}%`;
  return (
    <div className="page">
      <div className="head"><div className="grow">
        {first && <nav className="crumbs" aria-label="Where this is">{first.patient && <><Link to="/patients/$uid" params={{ uid: first.patient.uid }}>{first.patient.fullName ?? first.patient.uid}</Link><span>/</span></>}{first.study && <Link to="/studies/$uid" params={{ uid: first.study.uid }}>{first.study.description ?? "Study"}{first.study.date && `, ${first.study.date}`}</Link>}</nav>}
        <h1>{uids.length > 1 ? `${["Two", "Three", "Four"][uids.length - 2] ?? ""} headers compared` : "Compare headers"}</h1>
        {compared.data && isComplete && <div className="facts"><span><b>{show(differing.length - (withNoise ? 0 : noise))}</b> {withEqual ? `of ${show(rows.length)} ` : ""}elements differ</span>{!withNoise && <span><b>{show(noise)}</b> more are UIDs and times</span>}<span><b>{show(oneSided)}</b> not in all</span></div>}
      </div>
        <div className="actions">
          <span className="seg" role="group" aria-label="Shown"><button type="button" aria-pressed={!withEqual} onClick={() => { set({ show: undefined }); }}>What differs</button><button type="button" aria-pressed={withEqual} onClick={() => { set({ show: "all" }); }}>All</button></span>
          <label className="row"><input type="checkbox" checked={!withNoise} onChange={() => { set({ times: withNoise ? undefined : "yes" }); }} /> Hide UIDs and times</label>
          {uids.length < AT_MOST && <Further n={uids.length} add={(uid) => { set({ uid: [...uids, uid] }); }} />}
          <button type="button" className="btn" aria-expanded={panel === "code"} disabled={!isComplete} onClick={() => { set({ panel: panel ? undefined : "code" }); }}><Icon name="code" /> <span className="lbl">Show as GraphQL</span></button>
        </div>
      </div>
      {error && <Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} />}
      {missing.map((uid) => <div className="note" key={uid}><Icon name="warn" /><div><p>There is no image <span className="mono">{uid}</span>, or you may not see it.</p><div className="do"><button type="button" className="btn small" onClick={() => { set({ uid: uids.filter((each) => each !== uid) }); }}>Leave it out</button></div></div></div>)}
      {panel === "code" && isComplete && <div className="inline-code"><Code document={COMPARED} variables={variables} close={() => { set({ panel: undefined }); }} /></div>}
      {(heads.fetching || compared.fetching) && <Loading what="the headers" />}
      {uids.length < 2 && <Empty title="Choose what to compare"><p>Select two to four images, or series, in a table, then <b>Compare headers</b>.</p><div className="do"><Link className="btn primary" to="/images">Images</Link> <Link className="btn" to="/series">Series</Link></div></Empty>}
      {uids.length > 0 && !(heads.fetching && !heads.data) && (
        <section className="panel wide" tabIndex={0} role="region" aria-label="Comparison"><table className="diff">
          <caption className="sr">Elements of the headers</caption>
          <colgroup><col /><col className="w-tag" /><col className="w-vr" />{uids.map((uid) => <col key={uid} style={{ width }} />)}{uids.length === 2 && <col className="w-change" />}</colgroup>
          <thead><tr>
            <th><input type="search" aria-label="Search elements" placeholder="Search elements" value={find} onChange={(event) => { set({ find: event.target.value || undefined }); }} /></th><th className="less">Tag</th><th className="less">VR</th>
            {images.map((image, i) => <th key={uids[i]}><div className="of">{image
              ? <><Picture kind="images" uid={image.uid} label={image.series?.modality ?? ""} size={34} /><div className="two"><div className="clip"><Link to="/images/$uid" params={{ uid: image.uid }}>{image.series?.description ?? image.series?.modality ?? "Image"}</Link></div><div className="clip quiet">{[image.series?.patient?.fullName ?? image.series?.patient?.uid, image.series?.number !== null && image.series?.number !== undefined && `#${String(image.series.number)}`, image.number !== null && `image ${String(image.number)}`].filter(Boolean).join(" · ")}</div></div></>
              : <span className="mono clip">{uids[i]}</span>}
              <button type="button" className="btn plain icon-only" aria-label={`Leave out header ${String(i + 1)}`} onClick={() => { set({ uid: uids.filter((_, k) => k !== i) }); }}><Icon name="x" /></button></div></th>)}
            {uids.length === 2 && <th className="num">change</th>}
          </tr></thead>
          <tbody>
            {groups.filter((group) => !group.isPerFrame || withFrames).map((group) => <Group key={group.key} group={group} n={uids.length} whole={find !== ""} />)}
            {!withFrames && <Frames groups={groups.filter((group) => group.isPerFrame)} n={uids.length} open={() => { set({ frames: "yes" }); }} />}
            {isComplete && compared.data && groups.length === 0 && <tr><td colSpan={spanOf(uids.length)} className="quiet">{find ? "No element matches." : "The headers are equal."}</td></tr>}
          </tbody></table></section>
      )}
    </div>
  );
}

/** A further header, by its UID. */
function Further({ n, add }: { n: number; add: (uid: string) => void }) {
  const [isOpen, setOpen] = useState(false);
  const [text, setText] = useState("");
  if (!isOpen) return <button type="button" className="btn" onClick={() => { setOpen(true); }}><Icon name="plus" /> Header <small className="quiet">{n} of {AT_MOST}</small></button>;
  return (
    <form className="row" onSubmit={(event) => { event.preventDefault(); if (text.trim()) { add(text.trim()); setText(""); setOpen(false); } }}>
      <input type="text" autoFocus aria-label="SOPInstanceUID of a further image" placeholder="SOPInstanceUID of a further image" value={text} onChange={(event) => { setText(event.target.value); }} />
      <button className="btn">Add</button>
    </form>
  );
}

/** Columns of the table: name, tag and VR, the headers, and of two of them the change. */
const spanOf = (n: number) => 3 + n + (n === 2 ? 1 : 0);
const said = (rows: readonly Compared[], hidden: number): string => {
  const n = rows.filter((row) => row.outcome !== "EQUAL").length;
  return [`${show(n)} ${n === 1 ? "differs" : "differ"}`, hidden ? `${show(hidden)} hidden` : ""].filter(Boolean).join(", ");
};

function Group({ group, n, whole }: { group: ComparedGroup; n: number; whole: boolean }) {
  const [isOpen, setOpen] = useState(false);
  const rows = isOpen || whole ? group.rows : group.rows.slice(0, ROWS_OF_A_GROUP + (group.rows.length === ROWS_OF_A_GROUP + 1 ? 1 : 0));
  if (group.rows.length === 0) return null;
  return (
    <>
      <tr className="grp"><td colSpan={3}>{group.title}</td><td colSpan={spanOf(n) - 3}>{said(group.rows, group.hidden)}</td></tr>
      {rows.map((row) => <Line key={row.path} row={row} n={n} />)}
      {rows.length < group.rows.length && <tr><td colSpan={spanOf(n)}><button type="button" className="link" onClick={() => { setOpen(true); }}>{show(group.rows.length - rows.length)} more</button></td></tr>}
    </>
  );
}

function Line({ row, n }: { row: Compared; n: number }) {
  return (
    <tr>
      <td className="clip" title={row.path}>{row.name}</td><td className="mono quiet less">{row.tag}</td><td className="mono quiet less">{vrOf(row)}</td>
      {row.values.map((value, i) => {
        if (value === null || value === undefined) return <td key={i} className="quiet">not there</td>;
        const other = row.values.find((each, k) => k !== i && each !== value);
        const parts = row.outcome === "EQUAL" || other === undefined ? [{ text: value, differs: row.outcome !== "EQUAL" && other === undefined && vrOf(row) !== "SQ" }] : partsOf(value, other);
        return <td key={i} className="d mono clip" title={value}>{parts.map((part, k) => <Fragment key={k}>{part.differs ? <ins>{part.text}</ins> : part.text}</Fragment>)}</td>;
      })}
      {n === 2 && <td className="num quiet">{changeOf(row.values[0], row.values[1])}</td>}
    </tr>
  );
}

/** What is in single frames, in one line until it is asked for. */
function Frames({ groups, n, open }: { groups: readonly ComparedGroup[]; n: number; open: () => void }) {
  const rows = groups.flatMap((group) => group.rows);
  const hidden = groups.reduce((sum, group) => sum + group.hidden, 0);
  if (rows.length + hidden === 0) return null;
  return (
    <>
      <tr className="grp"><td colSpan={3}>Per-frame</td><td colSpan={spanOf(n) - 3}>{said(rows, hidden)}</td></tr>
      <tr><td colSpan={spanOf(n)}><button type="button" className="link" onClick={open}>Show {plural(rows.length, "element")} frame by frame</button></td></tr>
    </>
  );
}
