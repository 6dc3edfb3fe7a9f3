import { Link } from "@tanstack/react-router";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { plural, show } from "../lib/fields";
import { Compliance } from "../parts/compliance";
import { Icon } from "../parts/icons";
import { Picture } from "../parts/picture";
import { Failure, Loading } from "../parts/states";

const QUALITY = graphql(`
  query Quality {
    warned: series(filter: { hasWarnings: true }, orderBy: [{ field: ID, direction: DESC }], first: 50) {
      totalCount
      nodes { id uid number description modality nImages patient { id uid fullName } images(filter: { hasWarnings: true }, first: 1) { nodes { id uid warnings header { id elements(hasWarnings: true) { id tag keyword name warnings } } } } }
    }
    missing: images(filter: { missing: true }, first: 20) { totalCount nodes { id uid number missingSince files { path missingSince } } }
    unrelated: series(filter: { missingRelation: true }, first: 10) { totalCount nodes { id uid number description modality } }
  }
`);

/** What is wrong with what was imported: values that cannot be read, files that are gone. */
export function Quality() {
  const [{ data, error, fetching }, again] = useQuery({ query: QUALITY });
  const { warned, missing, unrelated } = data ?? {};
  if (error && !(warned && missing && unrelated)) return <div className="page"><h1>Quality</h1><Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} /></div>;
  if (!warned || !missing || !unrelated) return <div className="page"><h1>Quality</h1>{fetching && <Loading what="what is wrong" />}</div>;
  const kinds = new Map<string, { text: string; series: typeof warned.nodes }>();
  for (const series of warned.nodes) {
    const image = series.images.nodes[0];
    const found = image?.header?.elements.length ? image.header.elements.map((each) => `${each.keyword ?? each.name} ${each.tag}: ${each.warnings[0] ?? ""}`) : (image?.warnings ?? []);
    for (const text of found.slice(0, 4)) {
      const key = text.replace(/“[^”]*”|'[^']*'|"[^"]*"/g, "…");
      kinds.set(key, { text, series: [...(kinds.get(key)?.series ?? []), series] });
    }
  }
  return (
    <div className="page">
      <div className="head"><div className="grow"><h1>Quality</h1><div className="facts"><span><b>{show(warned.totalCount)}</b> series with warnings</span><span><b>{show(missing.totalCount)}</b> images without their file</span><span><b>{show(unrelated.totalCount)}</b> series without a patient or study</span></div></div></div>
      <div className="col">
        <section className="panel"><header><h2>Warnings by kind</h2><div className="end"><Link className="link" to="/series" search={{ f: ["series.hasWarnings=true"] }}>All {show(warned.totalCount)} series</Link></div></header>
          <ul className="kinds">{[...kinds.values()].sort((a, b) => b.series.length - a.series.length).map((kind) => (
            <li key={kind.text}><Icon name="warn" className="w" /><div><p>{kind.text}</p><p className="muted">{plural(kind.series.length, "series", "series")}, as {kind.series.slice(0, 3).map((each, i) => <span key={each.id}>{i > 0 && ", "}<Link className="link" to="/series/$uid" params={{ uid: each.uid }}>{each.description ?? `#${String(each.number ?? "–")}`}</Link></span>)}</p></div>{kind.series[0] && <Picture kind="series" uid={kind.series[0].uid} label={kind.series[0].modality ?? ""} />}</li>
          ))}{kinds.size === 0 && <li><span /><p>All values can be read.</p></li>}</ul>
          {warned.totalCount > 50 && <p className="hint quiet">The kinds are those of the latest 50 series.</p>}
        </section>
        <Compliance />
        <section className="panel"><header><h2>Files that are gone</h2><div className="end">{plural(missing.totalCount, "image")}</div></header>
          {missing.totalCount === 0 ? <p className="hint quiet">None, as of the last sync.</p> : <ul className="kinds">{missing.nodes.map((image) => <li key={image.id}><Icon name="fail" className="f" /><div><p className="mono">{image.files[0]?.path}</p><p className="muted">missing since {image.missingSince?.slice(0, 16).replace("T", " ")}</p></div><Link className="link" to="/images/$uid" params={{ uid: image.uid }}>Header</Link></li>)}</ul>}
        </section>
        <section className="panel"><header><h2>Without a patient or study</h2><div className="end">{plural(unrelated.totalCount, "series", "series")}</div></header>
          {unrelated.totalCount === 0 ? <p className="hint quiet">None: every series has both.</p> : <ul className="kinds">{unrelated.nodes.map((each) => <li key={each.id}><Icon name="warn" className="w" /><Link className="link" to="/series/$uid" params={{ uid: each.uid }}>{each.description ?? each.uid}</Link><span>{each.modality}</span></li>)}</ul>}
        </section>
      </div>
    </div>
  );
}
