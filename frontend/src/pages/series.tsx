import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { at } from "../lib/base";
import { textOf } from "../lib/address";
import { elementName } from "../lib/columns";
import { plural, show } from "../lib/fields";
import { formatFilter } from "../lib/filters";
import { bytesInWords, bytesOf, directions, slicesInWords } from "../lib/geometry";
import { Code } from "../parts/code";
import { Icon } from "../parts/icons";
import { useKeys } from "../parts/keys";
import { Empty, Failure, Loading } from "../parts/states";
import { Frames } from "../parts/frames";
import { Varies } from "../parts/varies";

const SERIES = graphql(`
  query SeriesPage($uid: String!) {
    seriesByUid(uid: $uid) {
      id uid number description date time modality modalityDisplay bodyPartExamined patientPosition protocolName manufacturer
      manufacturerModelName institutionName magneticFieldStrength echoTime inversionTime repetitionTime flipAngle
      sliceThickness sequenceType nImages path zipUrl
      patient { id uid fullName }
      study { id uid description date }
    }
  }
`);
const IMAGES = graphql(`
  query SeriesImages($uid: String!, $after: String) {
    seriesByUid(uid: $uid) {
      id
      images(first: 200, after: $after, orderBy: [{ field: NUMBER }]) {
        nodes { id uid number rows columns numberOfFrames warnings missingSince files { path size missingSince } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);
const VOLUMES = graphql(`
  query SeriesVolumes($uid: String!) {
    seriesByUid(uid: $uid) {
      id
      volumes {
        stack shape dtype spacing affine axes orientation fourthAxisValues fourthAxisUnit label warnings npyUrl niftiUrl
        mosaicUrl(tiles: 36, size: 1200)
        i: previewUrl(axis: SAGITTAL, size: 480) j: previewUrl(axis: CORONAL, size: 480) k: previewUrl(axis: AXIAL, size: 480)
      }
    }
  }
`);
const CONSTANT = graphql(`
  query SeriesConstant($uid: String!) {
    seriesByUid(uid: $uid) { id constantElements { id tag keyword name vr vm privateCreator value warnings } }
  }
`);

/** A series: its pictures, what is constant and what varies, files, downloads, warnings. */
export function SeriesPage() {
  const { uid } = useParams({ strict: false });
  const search = useSearch({ strict: false });
  const navigate = useNavigate();
  const tab = textOf(search, "tab") || "varies";
  const panel = textOf(search, "panel");
  const set = (change: Record<string, string | undefined>) => { void navigate({ to: ".", search: { ...search, ...change } as never, replace: true }); };
  useKeys((event) => { if (event.key === ".") set({ panel: panel ? undefined : "code" }); });
  const variables = { uid: uid ?? "" };
  const [{ data, error, fetching }, again] = useQuery({ query: SERIES, variables });
  const [images] = useQuery({ query: IMAGES, variables });
  const [volumes, askVolumes] = useQuery({ query: VOLUMES, variables, pause: !data?.seriesByUid });
  if (error && !data) return <div className="page"><Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} /></div>;
  if (fetching && !data) return <Loading what="the series" />;
  const series = data?.seriesByUid;
  if (!series) return <div className="page"><Empty title="No series has this UID"><p className="mono">{uid}</p><p>It may have been deleted, or may be kept from you.</p><Link to="/series" className="btn">All series</Link></Empty></div>;
  const listed = images.data?.seriesByUid?.images.nodes ?? [];
  const stacks = volumes.data?.seriesByUid?.volumes ?? [];
  const volume = stacks.find((each) => String(each.stack) === textOf(search, "stack")) ?? stacks[0];
  const first = listed[0];
  const facts: [string, unknown, string][] = [["TR", series.repetitionTime, "ms"], ["TE", series.echoTime, "ms"], ["TI", series.inversionTime, "ms"], ["FA", series.flipAngle, "°"]];
  const warned = listed.filter((image) => image.warnings.length);
  const gone = listed.filter((image) => image.missingSince);
  return (
    <div className="page">
      <div className="head">
        <div className="grow">
          <nav className="crumbs" aria-label="Where this is">
            {series.patient && <Link to="/patients/$uid" params={{ uid: series.patient.uid }}>{series.patient.fullName ?? series.patient.uid}</Link>}<span>/</span>
            {series.study && <Link to="/studies/$uid" params={{ uid: series.study.uid }}>{[series.study.description ?? "Study", series.study.date].filter(Boolean).join(", ")}</Link>}<span>/</span>
            <span>Series {series.number}</span>
          </nav>
          <h1>{series.description ?? series.protocolName ?? "(no description)"}</h1>
          <div className="facts">
            <span><b>{series.modality}</b> {series.manufacturerModelName ?? series.manufacturer}{series.magneticFieldStrength ? `, ${show(series.magneticFieldStrength)} T` : ""}</span>
            <span><b>{show(series.nImages)}</b> {series.nImages === 1 ? "image" : "images"}</span>
            {facts.filter(([, value]) => value !== null && value !== undefined).map(([name, value, unit]) => <span key={name}>{name} <b>{show(value)}</b> {unit}</span>)}
            {series.protocolName && <span>Protocol <Link className="link" title="All series of this protocol" to="/series" search={{ f: [formatFilter([{ not: false, level: "series", name: "protocolName", operator: "=", value: series.protocolName }])] }}>{series.protocolName}</Link></span>}
            <span>{[series.date, show(series.time, "Time")].filter(Boolean).join(" ")}</span>
          </div>
        </div>
        <div className="actions">
          {volume && <a className="btn primary" href={at(volume.niftiUrl)}><Icon name="down" /> NIfTI</a>}
          {volume && <a className="btn" href={at(volume.npyUrl)}>npy</a>}
          <a className="btn" href={at(series.zipUrl)}>zip</a>
          {first && <Link className="btn" to="/images/$uid" params={{ uid: first.uid }}><Icon name="tree" /> Header</Link>}
          <button type="button" className="btn" aria-expanded={panel === "code"} onClick={() => { set({ panel: panel ? undefined : "code" }); }}><Icon name="code" /> Show as GraphQL</button>
        </div>
      </div>
      <div className="series">
        <div className="col">
          {listed.length > 0 && <Frames images={listed} volumes={stacks} view={textOf(search, "view")} stack={textOf(search, "stack")} set={set} />}
          <section className="panel">
            <div className="tabs" role="tablist" aria-label="Of the series">
              {[["varies", "Varies"], ["images", `Images ${show(series.nImages)}`], ["files", "Files"]].map(([key = "", name]) => (
                <button key={key} type="button" role="tab" aria-selected={tab === key} onClick={() => { set({ tab: key }); }}>{name}</button>
              ))}
            </div>
            {tab === "varies" && <Varies uid={series.uid} nImages={series.nImages} />}
            {tab === "images" && (
              <div className="scroll" tabIndex={0} role="region" aria-label="Images"><table><thead><tr><th>Image</th><th className="num">Rows</th><th className="num">Columns</th><th className="num">Frames</th><th>Warnings</th></tr></thead>
                <tbody>{listed.map((image) => <tr key={image.id}><td><Link className="link" to="/images/$uid" params={{ uid: image.uid }}>#{image.number ?? "–"}</Link></td><td className="num">{image.rows}</td><td className="num">{image.columns}</td><td className="num">{image.numberOfFrames ?? 1}</td><td>{image.warnings.length ? <span className="tag warn"><Icon name="warn" />{image.warnings.length}</span> : ""}</td></tr>)}</tbody></table></div>
            )}
            {tab === "files" && (
              <div className="scroll" tabIndex={0} role="region" aria-label="Files"><table><thead><tr><th>File</th><th className="num">Bytes</th><th>State</th></tr></thead>
                <tbody>{listed.flatMap((image) => image.files.map((file) => <tr key={file.path}><td className="mono">{file.path}</td><td className="num">{Number(file.size).toLocaleString("en")}</td><td>{file.missingSince ? <span className="tag fail"><Icon name="fail" />missing</span> : "there"}</td></tr>))}</tbody></table></div>
            )}
            {images.data?.seriesByUid?.images.pageInfo.hasNextPage && tab !== "varies" && <p className="hint quiet">The first 200 are listed. <a className="link" href={at(`/images?f=${encodeURIComponent(`series.uid=${series.uid}`)}`)}>All images as a table</a></p>}
          </section>
        </div>
        <div className="col">
          {panel === "code" && <div className="panel inline-code"><Code document={SERIES as never} variables={variables} close={() => { set({ panel: undefined }); }} /></div>}
          {(warned.length > 0 || gone.length > 0) && (
            <section className="panel"><header><h2>Warnings</h2><div className="end">{plural(warned.length, "image")}</div></header>
              <div className="notes">
                {gone.length > 0 && <div className="note fail"><Icon name="fail" /><div><p>The files of {plural(gone.length, "image")} are missing: bring them back, and sync.</p></div></div>}
                {[...new Set(warned.flatMap((image) => image.warnings))].slice(0, 6).map((text) => <div className="note" key={text}><Icon name="warn" /><div><p>{text}</p><p className="quiet">In {plural(warned.filter((image) => image.warnings.includes(text)).length, "image")}.</p></div></div>)}
              </div>
            </section>
          )}
          <section className="panel"><header><h2>Geometry</h2><div className="end">as in the NIfTI</div></header>
            {volumes.error ? <Failure error={volumes.error} again={() => { askVolumes({ requestPolicy: "network-only" }); }} />
              : volumes.fetching || !volumes.data ? <Loading what="the volume, from the headers of all files" />
                : !volume ? <p className="hint quiet">These images make no volume.</p>
                  : <>
                    {volume.warnings.length > 0 && <div className="notes">{volume.warnings.map((text) => <div className="note" key={text}><Icon name="warn" /><div><p>{text}</p></div></div>)}</div>}
                    <dl className="kv">
                      <dt>Shape</dt><dd>{volume.shape.join(" × ")}</dd>
                      <dt>Voxel</dt><dd>{volume.spacing.map((each) => show(each)).join(" × ")} mm</dd>
                      <dt>Field of view</dt><dd>{volume.spacing.map((each, i) => show(Math.round(each * (volume.shape[i] ?? 0) * 10) / 10)).join(" × ")} mm</dd>
                      <dt>Slices</dt><dd>{slicesInWords(volume)}</dd>
                      <dt>Voxels grow to</dt><dd>{directions(volume.orientation)}</dd>
                      {volume.shape.length > 3 && <><dt>Fourth axis</dt><dd>{volume.axes[3]}: {volume.shape[3]} steps{volume.fourthAxisUnit ? ` in ${volume.fourthAxisUnit}` : ""}</dd></>}
                      <dt>Array</dt><dd>{volume.dtype}, {bytesInWords(bytesOf(volume.shape, volume.dtype))}</dd>
                    </dl>
                    {(volumes.data.seriesByUid?.volumes?.length ?? 0) > 1 && <><p className="hint quiet">{volumes.data.seriesByUid?.volumes?.length} volumes:</p><ul className="volumes">{volumes.data.seriesByUid?.volumes?.map((each) => <li key={each.stack}>{each.label || `Volume ${String(each.stack)}`}, {each.shape.join(" × ")} <a className="link" href={at(each.niftiUrl)}>NIfTI</a></li>)}</ul></>}
                  </>}
          </section>
          <Constant uid={series.uid} image={first?.uid} />
        </div>
      </div>
    </div>
  );
}

function Constant({ uid, image }: { uid: string; image: string | undefined }) {
  const [text, setText] = useState("");
  const [{ data, error, fetching }] = useQuery({ query: CONSTANT, variables: { uid } });
  const all = data?.seriesByUid?.constantElements ?? [];
  const wanted = text.toLowerCase();
  const shown = all.filter((each) => (wanted ? `${each.keyword ?? ""} ${each.name} ${each.tag} ${show(each.value)}`.toLowerCase().includes(wanted) : each.keyword && each.vr !== "SQ")).slice(0, wanted ? 60 : 16);
  return (
    <section className="panel"><header><h2>Constant</h2><div className="end"><input type="search" aria-label="Find among the constant elements" placeholder={`Find among ${String(all.length)}`} value={text} onChange={(event) => { setText(event.target.value); }} /></div></header>
      {error ? <Failure error={error} /> : fetching && !data ? <Loading what="elements" /> : (
        <dl className="kv">{shown.map((each) => <div className="pair" key={each.id}><dt className="clip" title={`${each.name} ${each.tag}`}>{each.keyword ?? `${each.name} ${each.tag}`}</dt><dd><Same element={each} /></dd></div>)}</dl>
      )}
      {image && <p className="hint"><Link className="link" to="/images/$uid" params={{ uid: image }}>All {all.length} in the header</Link></p>}
    </section>
  );
}

const COMPARED = new Set(["AE", "CS", "DS", "FD", "FL", "IS", "LO", "LT", "SH", "SL", "SS", "ST", "UI", "UL", "US"]);
interface OfAll { vr: string; vm: number; tag: string; keyword?: string | null; privateCreator?: string | null; value?: unknown }
/** A value that all images have; where it can be looked for, the way to who else has it. */
function Same({ element }: { element: OfAll }) {
  const { value, vr, vm } = element;
  const text = show(value).slice(0, 120) || (vr === "SQ" ? plural(vm, "item") : "–");
  const isOne = vm === 1 && COMPARED.has(vr) && (typeof value === "string" || typeof value === "number") && String(value).length < 65 && value !== "";
  if (!isOne) return <>{text}</>;
  const filter = formatFilter([{ not: false, level: "header", name: elementName(element), operator: "=", value: String(value) }]);
  return <Link className="who-else" title="Series that have this, too" to="/series" search={{ f: [filter] }}>{text}</Link>;
}
