import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { at } from "../lib/base";
import { textOf } from "../lib/address";
import { rawOf, type Item } from "../lib/tree";
import { Icon } from "../parts/icons";
import { Empty, Failure, Loading } from "../parts/states";

const ONE = graphql(`
  query CompareOne($uid: String!) {
    imageByUid(uid: $uid) {
      id uid number
      series { id uid number description modality }
      patient { id uid fullName }
      header { id elements { id tag privateCreator vr keyword name vm length warnings value values { index raw } } }
    }
  }
`);
const NOISE = new Set(["UI", "TM", "DT"]);

/** Two to four headers side by side. */
export function Compare() {
  const search = useSearch({ strict: false }) as Record<string, unknown>;
  const navigate = useNavigate();
  const uids = (Array.isArray(search["uid"]) ? (search["uid"] as string[]) : []).slice(0, 4);
  const all = textOf(search, "all") === "yes";
  const set = (change: Record<string, unknown>) => { void navigate({ to: "/compare", search: { ...search, ...change } as never }); };
  const [text, setText] = useState("");
  const asked = [0, 1, 2, 3].map((i) => ({ variables: { uid: uids[i] ?? "" }, pause: !uids[i] }));
  const [a] = useQuery({ query: ONE, ...asked[0], variables: { uid: uids[0] ?? "" } });
  const [b] = useQuery({ query: ONE, ...asked[1], variables: { uid: uids[1] ?? "" } });
  const [c] = useQuery({ query: ONE, ...asked[2], variables: { uid: uids[2] ?? "" } });
  const [d] = useQuery({ query: ONE, ...asked[3], variables: { uid: uids[3] ?? "" } });
  const answers = [a, b, c, d].slice(0, uids.length);
  const failed = answers.find((each) => each.error)?.error;
  const waiting = answers.some((each) => each.fetching);
  const images = answers.map((each) => each.data?.imageByUid ?? null);
  const rows = new Map<string, { name: string; tag: string; vr: string; cells: (Item | null)[] }>();
  images.forEach((image, i) => {
    for (const element of (image?.header?.elements ?? []) as Item[]) {
      const key = element.tag + (element.privateCreator ?? "");
      const row = rows.get(key) ?? { name: element.name, tag: element.tag, vr: element.vr, cells: images.map(() => null) };
      row.cells[i] = element;
      rows.set(key, row);
    }
  });
  const differing = [...rows.values()].filter((row) => new Set(row.cells.map((cell) => cell?.id)).size > 1).sort((x, y) => x.tag.localeCompare(y.tag));
  const shown = all ? differing : differing.filter((row) => !NOISE.has(row.vr));
  return (
    <div className="page">
      <div className="head"><div className="grow"><h1>Compare headers</h1><div className="facts"><span><b>{differing.length}</b> of {rows.size} elements differ</span>{!all && differing.length > shown.length && <span>{differing.length - shown.length} UIDs and times are hidden <button type="button" className="link" onClick={() => { set({ all: "yes" }); }}>show them</button></span>}</div></div>
        <form className="actions" onSubmit={(event) => { event.preventDefault(); if (text.trim()) { set({ uid: [...uids, text.trim()] }); setText(""); } }}>
          {uids.length < 4 && <><input type="text" aria-label="SOPInstanceUID of a further image" placeholder="SOPInstanceUID of a further image" value={text} onChange={(event) => { setText(event.target.value); }} /><button className="btn">Add</button></>}
          <a className="btn" href={at("/images")}>Choose images</a>
        </form>
      </div>
      {failed && <Failure error={failed} />}
      {waiting && <Loading what="the headers" />}
      {uids.length < 2 && <Empty title="Choose what to compare"><p>Select two to four images in the table of images, then <b>Compare headers</b>.</p></Empty>}
      {uids.length > 0 && (
        <section className="panel wide" tabIndex={0} role="region" aria-label="Differences"><table className="diff">
          <caption className="sr">Elements that differ</caption>
          <thead><tr><th>Element</th>{images.map((image, i) => <th key={uids[i]}>{image ? <>{image.series?.description ?? image.series?.modality} #{image.number} <small>{image.patient?.fullName}</small></> : <span className="mono">{uids[i]}</span>} <button type="button" className="btn plain icon-only" aria-label="Leave out" onClick={() => { set({ uid: uids.filter((_, k) => k !== i) }); }}><Icon name="x" /></button></th>)}</tr></thead>
          <tbody>{uids.length > 1 && shown.map((row) => (
            <tr key={row.tag + row.name}><td className="clip">{row.name} <span className="mono quiet">{row.tag}</span></td>
              {row.cells.map((cell, i) => <td key={i} className="d mono clip" title={cell ? rawOf(cell) : "not there"}>{cell ? cell.id === row.cells[0]?.id ? rawOf(cell) : <ins>{rawOf(cell)}</ins> : <span className="quiet">not there</span>}</td>)}</tr>
          ))}</tbody></table></section>
      )}
    </div>
  );
}
