import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { useClient, useQuery } from "urql";
import { graphql } from "../gql";
import { at } from "../lib/base";
import { textOf } from "../lib/address";
import { elementName } from "../lib/columns";
import { plural, show } from "../lib/fields";
import { ELEMENTS, flatten, type Item, type Line } from "../lib/tree";
import { Code } from "../parts/code";
import { Icon } from "../parts/icons";
import { useKeys } from "../parts/keys";
import { Empty, Failure, Loading } from "../parts/states";

const HEADER = graphql(`
  query HeaderPage($uid: String!) {
    imageByUid(uid: $uid) {
      id uid number sopClassUid warnings headerJsonUrl fileUrl missingSince
      files { path size missingSince }
      patient { id uid fullName }
      series { id uid number description nImages study { id uid description date } }
      header {
        id
        elements { id tag privateCreator vr keyword name vm length warnings value values { index raw } }
      }
    }
  }
`);
const HOLDERS = graphql(`
  query Holders($id: ID!) {
    node(id: $id) { ... on DataElement { id series(first: 6) { nodes { id uid number description modality } pageInfo { hasNextPage } } } }
  }
`);

const BY_ID = graphql(`
  query HeaderById($id: ID!) {
    node(id: $id) {
      ... on Header {
        id index
        image { id uid }
        parent { id keyword name tag privateCreator series(first: 1) { nodes { id uid number description } } }
        elements { id tag privateCreator vr keyword name vm length warnings value values { index raw } }
      }
    }
  }
`);

/** A header by its global id: that of an image leads to its page, that of an item is shown here. */
export function HeaderById() {
  const { id } = useParams({ strict: false });
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const set = (change: Record<string, string | undefined>) => { void navigate({ to: ".", search: { ...search, ...change } as never, replace: true }); };
  const [{ data, error, fetching }, again] = useQuery({ query: BY_ID, variables: { id: id ?? "" } });
  const header = data?.node && "elements" in data.node ? data.node : null;
  const uid = header?.image?.uid;
  useEffect(() => { if (uid) void navigate({ to: "/images/$uid", params: { uid }, replace: true }); }, [uid, navigate]);
  if (error && !header) return <div className="page"><h1 className="sr">Header</h1><Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} /></div>;
  if ((fetching && !data) || uid) return <Loading what="the header" />;
  if (!header) return <div className="page"><Empty title="There is no such header"><p>It may have been deleted, or may be kept from you.</p><Link className="btn" to="/images">All images</Link></Empty></div>;
  const elements = header.elements as Item[];
  const parent = header.parent, series = parent?.series.nodes[0];
  return (
    <div className="page">
      <div className="head"><div className="grow">
        <nav className="crumbs" aria-label="Where this is">{series && <><Link to="/series/$uid" params={{ uid: series.uid }}>Series {series.number} {series.description}</Link><span>/</span></>}<span>{parent?.name ?? "Sequence"}</span><span>/</span><span>Item {header.index}</span></nav>
        <h1>Item {header.index} of {parent?.name ?? "a sequence"}</h1>
        <div className="facts"><span><b>{elements.length}</b> elements</span>{parent && <span className="mono">{parent.tag}</span>}<span>It belongs to all headers that hold this sequence.</span></div>
      </div></div>
      <div className="hdr"><Tree elements={elements} text={textOf(search, "find")} isPrivate={textOf(search, "private") !== "no"} set={set} chosen={textOf(search, "at")} /><div className="col"><Chosen elements={elements} path={textOf(search, "at")} /></div></div>
    </div>
  );
}

/** The header of an image: all of its elements as a tree. */
export function HeaderPage() {
  const { uid } = useParams({ strict: false });
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const set = (change: Record<string, string | undefined>) => { void navigate({ to: ".", search: { ...search, ...change } as never, replace: true }); };
  const text = textOf(search, "find"), panel = textOf(search, "panel"), chosen = textOf(search, "at");
  const isPrivate = textOf(search, "private") !== "no";
  const [{ data, error, fetching }, again] = useQuery({ query: HEADER, variables: { uid: uid ?? "" } });
  useKeys((event) => {
    if (event.key === ".") set({ panel: panel ? undefined : "code" });
    else if (event.key === "d" && uid) void navigate({ to: "/compare", search: { uid: [uid] } as never });
  });
  if (error && !data) return <div className="page"><Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} /></div>;
  if (fetching && !data) return <Loading what="the header" />;
  const image = data?.imageByUid;
  if (!image) return <div className="page"><Empty title="No image has this UID"><p className="mono">{uid}</p><p>It may have been deleted, or may be kept from you.</p><Link className="btn" to="/images">All images</Link></Empty></div>;
  const elements = (image.header?.elements ?? []) as Item[];
  return (
    <div className="page">
      <div className="head">
        <div className="grow">
          <nav className="crumbs" aria-label="Where this is">
            {image.patient && <Link to="/patients/$uid" params={{ uid: image.patient.uid }}>{image.patient.fullName ?? image.patient.uid}</Link>}<span>/</span>
            {image.series?.study && <Link to="/studies/$uid" params={{ uid: image.series.study.uid }}>{[image.series.study.description ?? "Study", image.series.study.date].filter(Boolean).join(", ")}</Link>}<span>/</span>
            {image.series && <Link to="/series/$uid" params={{ uid: image.series.uid }}>Series {image.series.number} {image.series.description}</Link>}<span>/</span>
            <span>Image {image.number}</span>
          </nav>
          <h1>Header</h1>
          <div className="facts"><span><b>{elements.length}</b> elements at the top level</span><span><b>{elements.filter((each) => each.warnings.length).length}</b> with warnings</span><span className="mono">{image.sopClassUid}</span></div>
        </div>
        <div className="actions">
          <Link className="btn" to="/compare" search={{ uid: [image.uid] } as never}><Icon name="compare" /> Compare</Link>
          <a className="btn" href={at(image.headerJsonUrl)}><Icon name="down" /> DICOM JSON</a>
          <a className="btn" href={at(image.fileUrl)}>DICOM file</a>
          <button type="button" className="btn" aria-expanded={panel === "code"} onClick={() => { set({ panel: panel ? undefined : "code" }); }}><Icon name="code" /> Show as GraphQL</button>
        </div>
      </div>
      {image.header
        ? <div className="hdr">
            <Tree elements={elements} text={text} isPrivate={isPrivate} set={set} chosen={chosen} />
            <div className="col">
              {panel === "code" && <div className="panel inline-code"><Code document={HEADER as never} variables={{ uid: image.uid }} close={() => { set({ panel: undefined }); }} /></div>}
              <Chosen elements={elements} path={chosen} />
              <section className="panel"><header><h2>Picture</h2></header><div className="stage small"><img src={at(`/images/${encodeURIComponent(image.uid)}/preview.png?size=480`)} alt="The first frame" onError={(event) => { event.currentTarget.hidden = true; }} /></div></section>
              <section className="panel"><header><h2>Files</h2></header><ul className="files">{image.files.map((file) => <li key={file.path}><span className="mono">{file.path}</span> <span className="quiet">{Number(file.size).toLocaleString("en")} bytes</span>{file.missingSince && <span className="tag fail"><Icon name="fail" />missing</span>}</li>)}</ul></section>
            </div>
          </div>
        : <Empty title="This image was imported without its header"><p>Import its file again with mode <b>normal</b> or <b>full</b> to have the elements.</p></Empty>}
    </div>
  );
}

/** The elements as a tree grid: virtual rows, sequences folded until opened. */
function Tree({ elements, text, isPrivate, set, chosen }: { elements: Item[]; text: string; isPrivate: boolean; set: (change: Record<string, string | undefined>) => void; chosen: string }) {
  const client = useClient();
  const navigate = useNavigate();
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [loaded, setLoaded] = useState<ReadonlyMap<string, Item[][]>>(new Map());
  const scroller = useRef<HTMLDivElement>(null);
  const lines = useMemo(() => flatten(elements, { open, loaded, text, isPrivate }), [elements, open, loaded, text, isPrivate]);
  const current = lines.findIndex((line) => line.path === chosen);
  const virtual = useVirtualizer({ count: lines.length, getScrollElement: () => scroller.current, estimateSize: () => 26, overscan: 20 });
  const items = virtual.getVirtualItems();
  const load = async (element: Item) => {
    if (loaded.has(element.id)) return;
    const { data } = await client.query(ELEMENTS, { id: element.id }).toPromise();
    const node = data?.node;
    if (node && "items" in node) setLoaded((now) => new Map(now).set(element.id, (node.items ?? []).map((item) => item.elements as Item[])));
  };
  // While searching, sequences are looked into as well.
  useEffect(() => {
    if (text.length < 2) return;
    const waiting: Item[] = [];
    const walk = (list: readonly Item[]) => { for (const each of list) if (each.vr === "SQ") { const inner = loaded.get(each.id); if (inner) inner.forEach(walk); else waiting.push(each); } };
    walk(elements);
    const timer = window.setTimeout(() => { waiting.slice(0, 8).forEach((each) => void load(each)); }, 150);
    return () => { window.clearTimeout(timer); };
  });
  /** Opens the sequence and all below it, up to a depth and number that a page can show. */
  const unfoldBelow = async (roots: readonly Item[], at: string) => {
    const paths = new Set(open), found = new Map(loaded);
    let left = 200;
    const walk = async (list: readonly Item[], prefix: string | null, depth: number): Promise<void> => {
      for (const each of list) {
        if (each.vr !== "SQ" || each.vm === 0 || depth > 6 || left-- <= 0) continue;
        const path = prefix ?? "";
        const own = prefix !== null && list === roots && at ? at : `${path}${each.tag}${each.privateCreator ?? ""}`;
        if (!found.has(each.id)) {
          const { data } = await client.query(ELEMENTS, { id: each.id }).toPromise();
          if (data?.node && "items" in data.node) found.set(each.id, (data.node.items ?? []).map((item) => item.elements as Item[]));
        }
        paths.add(own);
        for (const [i, item] of (found.get(each.id) ?? []).entries()) await walk(item, `${own}[${String(i)}].`, depth + 1);
      }
    };
    await walk(roots, "", 0);
    setLoaded(found);
    setOpen(paths);
  };
  const toggle = (line: Line) => {
    if (line.element) void load(line.element);
    const next = new Set(open);
    if (!next.delete(line.path)) next.add(line.path);
    setOpen(next);
  };
  useKeys((event) => {
    const line = lines[current];
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
    if (step) { event.preventDefault(); let to = current + step; while (lines[to]?.kind === "group") to += step; const next = lines[to]; if (next) { set({ at: next.path }); virtual.scrollToIndex(to); } }
    else if (event.key === "*") void unfoldBelow(line?.element ? [line.element] : elements, line?.path ?? "");
    else if (event.key === "c" && line?.element && line.depth === 0) void navigate({ to: "/series", search: { c: `modality,date,manufacturerModelName,nImages,@${elementName(line.element)}` } });
    else if (line?.folds && (event.key === "ArrowRight") !== line.isOpen && (event.key === "ArrowRight" || event.key === "ArrowLeft")) toggle(line);
  });
  const matches = text ? lines.filter((line) => line.isMatch).length : 0;
  return (
    <section className="panel">
      <header>
        <input type="search" aria-label="Search the elements" placeholder="Name, tag, value…" value={text} onChange={(event) => { set({ find: event.target.value || undefined }); }} />
        {text && <span className="quiet" role="status">{plural(matches, "match", "matches")}</span>}
        <div className="end">
          <label className="row"><input type="checkbox" checked={isPrivate} onChange={() => { set({ private: isPrivate ? "no" : undefined }); }} /> Private</label>
          <button type="button" className="btn small" onClick={() => { setOpen(new Set()); }}>Fold all</button>
        </div>
      </header>
      <div className="tree-scroll" ref={scroller} tabIndex={0} role="region" aria-label="Elements">
        <table className="tree" role="treegrid" aria-label="Elements" aria-rowcount={lines.length + 1}>
          <colgroup><col className="w-name" /><col className="w-tag" /><col className="w-vr" /><col /><col /></colgroup>
          <thead><tr aria-rowindex={1}><th>Element</th><th>Tag</th><th>VR</th><th>As in the file</th><th>Parsed</th></tr></thead>
          <tbody>
            {(items[0]?.start ?? 0) > 0 && <tr className="spare"><td colSpan={5} style={{ height: items[0]?.start }} /></tr>}
            {items.map((item) => {
              const line = lines[item.index];
              if (!line) return null;
              if (line.kind === "group") return <tr className="grp" key={line.path} aria-rowindex={item.index + 2} aria-level={1}><td colSpan={3}>{line.name}</td><td colSpan={2}>{line.raw}</td></tr>;
              return (
                <tr key={line.path} aria-rowindex={item.index + 2} aria-level={line.depth + 1} aria-selected={line.path === chosen} {...(line.folds ? { "aria-expanded": line.isOpen } : {})} onClick={() => { set({ at: line.path }); }} onDoubleClick={() => { if (line.folds) toggle(line); }}>
                  <td className={line.folds ? "nm" : "nm leaf"} ref={(node) => { node?.style.setProperty("--d", String(line.depth)); }}>
                    {line.folds && <button type="button" className="fold" tabIndex={-1} aria-label={line.isOpen ? `Fold ${line.name}` : `Unfold ${line.name}`} onClick={(event) => { event.stopPropagation(); toggle(line); }}><Icon name={line.isOpen ? "open" : "right"} /></button>}
                    <Mark text={line.name} find={text} /> {line.element && line.element.warnings.length > 0 && <span className="tag warn" title={line.element.warnings.join("\n")}><Icon name="warn" />{line.element.warnings.length}</span>}
                  </td>
                  <td className="tagc">{line.tag}</td><td className="tagc">{line.vr}</td>
                  <td className="mono"><Mark text={line.raw} find={text} /></td>
                  <td>{line.parsed === line.raw && line.parsed ? <span className="quiet">same</span> : line.parsed}</td>
                </tr>
              );
            })}
            {virtual.getTotalSize() - (items.at(-1)?.end ?? 0) > 0 && <tr className="spare"><td colSpan={5} style={{ height: virtual.getTotalSize() - (items.at(-1)?.end ?? 0) }} /></tr>}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Mark({ text, find }: { text: string; find: string }) {
  const place = find ? text.toLowerCase().indexOf(find.toLowerCase()) : -1;
  if (place < 0) return <>{text}</>;
  return <>{text.slice(0, place)}<mark>{text.slice(place, place + find.length)}</mark>{text.slice(place + find.length)}</>;
}

/** The chosen element: what it is, and what can be asked about it. */
function Chosen({ elements, path }: { elements: Item[]; path: string }) {
  const element = elements.find((each) => `${each.tag}${each.privateCreator ?? ""}` === path);
  const [{ data, fetching }] = useQuery({ query: HOLDERS, variables: { id: element?.id ?? "" }, pause: !element });
  if (!element) return <section className="panel"><header><h2>Element</h2></header><p className="hint quiet">Choose an element at the top level to see who else has it, or to filter and sort by it.</p></section>;
  const holders = data?.node && "series" in data.node ? data.node.series : null;
  const name = elementName(element);
  const value = element.values[0]?.raw ?? "";
  const filter = `header.${name}${element.vm === 1 && element.vr !== "SQ" && value.length < 65 ? `=${value}` : "?"}`;
  return (
    <section className="panel"><header><h2>{element.name}</h2>{element.privateCreator && <span className="tag">private</span>}</header>
      <dl className="kv">
        <dt>Tag</dt><dd className="mono">{element.tag}</dd>
        {element.keyword && <><dt>Keyword</dt><dd>{element.keyword}</dd></>}
        {element.privateCreator && <><dt>Creator</dt><dd className="mono">{element.privateCreator}</dd></>}
        <dt>VR</dt><dd>{element.vr}, {plural(element.vm, element.vr === "SQ" ? "item" : "value")}, {element.length} bytes</dd>
        <dt>Value</dt><dd className="mono value">{show(element.value).slice(0, 400) || "–"}</dd>
      </dl>
      {element.warnings.length > 0 && <div className="notes">{element.warnings.map((text) => <div className="note" key={text}><Icon name="warn" /><p>{text}</p></div>)}</div>}
      <div className="do-list">
        <Link to="/series" search={{ f: [filter] }}><Icon name="list" /><span>Who else has this<small>series with any such image</small></span><span className="quiet">{fetching ? "…" : holders ? `${String(holders.nodes.length)}${holders.pageInfo.hasNextPage ? "+" : ""} series` : ""}</span></Link>
        <Link to="/explore" search={{ by: `@${elementName(element)}` } as never}><Icon name="bars" /><span>How is it distributed<small>over all series</small></span></Link>
        <Link to="/series" search={{ c: `modality,date,manufacturerModelName,nImages,@${elementName(element)}` }}><Icon name="columns" /><span>Add as column<small>to Series, from the first image</small></span></Link>
      </div>
    </section>
  );
}
