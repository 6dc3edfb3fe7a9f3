import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useClient, useQuery } from "urql";
import { graphql } from "../gql";
import { textOf, type TableSearch } from "../lib/address";
import { barsOf, barOf, type Cut, type Group } from "../lib/bins";
import { plural, show } from "../lib/fields";
import { formatFilter, parseFilter, toGraphQL } from "../lib/filters";
import { useViewer } from "../lib/viewer";
import { Chips } from "./chips";
import { Icon } from "./icons";
import { Failure, Loading } from "./states";

const PROTOCOLS = graphql(`query Protocols { protocols(first: 200) { nodes { id name acquisitions } } }`);
const COMPLIANCE = graphql(`
  query ProtocolCompliance($id: ID!, $acquisition: String, $filter: SeriesFilter) {
    node(id: $id) {
      ... on Protocol {
        id
        compliance(acquisition: $acquisition, filter: $filter) {
          acquisition compliant deviating notChecked
          nodes(first: 1000) { element outcome expected found series { id uid number description manufacturerModelName date } }
        }
      }
    }
    all: series(filter: $filter) { groups(by: [{ field: MANUFACTURER_MODEL_NAME }, { field: DATE, part: MONTH }], first: 10000) { nodes { count keys { value } } } }
  }
`);
const CREATE = graphql(`mutation MakeProtocol($input: CreateProtocolInput!) { made: createProtocol(input: $input) { protocol { id name acquisitions } errors { message code } } }`);
const SCANNER = "series.manufacturerModelName", DATE = "series.date";
const MONTHS: Cut = { part: "MONTH" };
const ROWS = 16, COLUMNS = 12, SHOWN = 30;

/** Series held against a protocol, by scanner and month; for those who may see protocols. */
export function Compliance() {
  const viewer = useViewer();
  const isAllowed = !!viewer && !viewer.isDeidentified && viewer.groups === null;
  const [{ data, error }, again] = useQuery({ query: PROTOCOLS, pause: !isAllowed });
  const search: TableSearch = useSearch({ strict: false });
  const navigate = useNavigate();
  const [isMaking, setMaking] = useState(false);
  if (!isAllowed) return null;
  const set = (change: Record<string, unknown>) => { void navigate({ to: "/quality", search: { ...search, ...change } as never }); };
  const protocols = data?.protocols?.nodes ?? [];
  const chosen = protocols.find((each) => each.id === textOf(search, "protocol"));
  const acquisition = chosen?.acquisitions.find((each) => each === textOf(search, "acquisition")) ?? chosen?.acquisitions[0];
  const texts = search.f ?? [];
  const filters = texts.map((text) => parseFilter(text, "series")).filter((filter) => filter.length);
  const filter = toGraphQL(filters, "series");
  return (
    <section className="panel"><header><h2>Held against a protocol, by scanner and month</h2>{viewer.canEdit && <div className="end"><button type="button" className="btn small" aria-expanded={isMaking} onClick={() => { setMaking(!isMaking); }}><Icon name="plus" /> Protocol</button></div>}</header>
      {error && <Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} />}
      {data && protocols.length === 0 && !isMaking && <p className="hint quiet">No protocol is kept here. {viewer.canEdit ? "Make one of what most of your series have, or of dicompare’s JSON." : "An editor can make one."}</p>}
      {(protocols.length > 0 || isMaking) && <div className="hold">
        {protocols.length > 0 && <select aria-label="Protocol" value={chosen?.id ?? ""} onChange={(event) => { set({ protocol: event.target.value || undefined, acquisition: undefined }); }}><option value="">Choose a protocol</option>{protocols.map((each) => <option key={each.id} value={each.id}>{each.name}</option>)}</select>}
        {chosen && chosen.acquisitions.length > 1 && <select aria-label="Acquisition" value={acquisition} onChange={(event) => { set({ acquisition: event.target.value }); }}>{chosen.acquisitions.map((each) => <option key={each}>{each}</option>)}</select>}
        {(chosen ?? isMaking) && <><span className="muted">of series where</span><Chips entity="series" filters={filters} change={(next) => { set({ f: next.map(formatFilter) }); }} /></>}
      </div>}
      {isMaking && <Make filter={filter} made={(id) => { setMaking(false); again({ requestPolicy: "network-only" }); set({ protocol: id, acquisition: undefined }); }} />}
      {chosen && <Held id={chosen.id} acquisition={acquisition ?? null} filter={filter} texts={texts} />}
    </section>
  );
}

const USUAL = "RepetitionTime, EchoTime, FlipAngle, SliceThickness, Rows, Columns";
/** A new protocol: of what most of the series above have, or of a file. */
function Make({ filter, made }: { filter: Record<string, unknown> | undefined; made: (id: string) => void }) {
  const client = useClient();
  const [name, setName] = useState("");
  const [elements, setElements] = useState(USUAL);
  const [json, setJson] = useState<{ name: string; text: string } | null>(null);
  const [problem, setProblem] = useState("");
  const make = async () => {
    const of = json ? { json: JSON.parse(json.text) as unknown } : { majority: filter ?? {}, elements: elements.split(/[\s,]+/).filter(Boolean) };
    const { data, error } = await client.mutation(CREATE, { input: { name: name.trim(), ...of } }).toPromise();
    setProblem(data?.made.errors.map((each) => each.message).join(" ") || error?.message || "");
    if (data?.made.protocol) made(data.made.protocol.id);
  };
  return (
    <form className="hold make" onSubmit={(event) => { event.preventDefault(); make().catch((error: unknown) => { setProblem(`${json?.name ?? "The file"} is not JSON: ${String(error)}`); }); }}>
      <label>Name <input type="text" required maxLength={200} value={name} onChange={(event) => { setName(event.target.value); }} /></label>
      {json ? <span>of <span className="mono">{json.name}</span> <button type="button" className="link" onClick={() => { setJson(null); }}>not of the file</button></span> : <label className="wide-label">of what most of these series have of <input type="text" value={elements} onChange={(event) => { setElements(event.target.value); }} /></label>}
      <label className="btn small">or of a JSON file of dicompare<input type="file" accept=".json" className="sr" onChange={(event) => { const file = event.target.files?.[0]; if (file) void file.text().then((text) => { setJson({ name: file.name, text }); if (!name) setName(file.name.replace(/\.json$/i, "")); }); }} /></label>
      <button className="btn primary">Make it</button>
      {problem && <div className="note fail" role="alert"><Icon name="fail" /><p>{problem}</p></div>}
    </form>
  );
}

function Held({ id, acquisition, filter, texts }: { id: string; acquisition: string | null; filter: Record<string, unknown> | undefined; texts: readonly string[] }) {
  const [isLong, setLong] = useState(false);
  const [{ data, error }, again] = useQuery({ query: COMPLIANCE, variables: { id, acquisition, filter: filter ?? null } });
  if (error && !data) return <Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} />;
  const compliance = data?.node && "compliance" in data.node ? data.node.compliance : null;
  if (!compliance) return <Loading what="what deviates" />;
  const groups = (data?.all?.groups.nodes ?? []) as Group[];
  const counted = compliance.nodes.filter((each) => each.outcome !== "WARNING");
  const deviating = new Map(counted.map(({ series }) => [series.uid, series]));
  return (
    <>
      <p className="hint"><b>{show(compliance.compliant)}</b> of {plural(compliance.compliant + compliance.deviating, "series", "series")} as <b>{compliance.acquisition}</b> wants them; <b>{show(compliance.deviating)}</b> not{compliance.deviating > deviating.size && `, the first ${show(deviating.size)} of which are shown`}.{compliance.notChecked.length > 0 && ` Not looked at: ${compliance.notChecked.join(", ")}.`}</p>
      {groups.length > 0 && <ByScanner groups={groups} deviating={[...deviating.values()]} texts={texts} />}
      {compliance.nodes.length > 0 && <div className="wide" tabIndex={0} role="region" aria-label="Deviations"><table className="deviations"><caption className="sr">Deviations</caption>
        <thead><tr><th>Series</th><th>Element</th><th>Wanted</th><th>Found</th></tr></thead>
        <tbody>{compliance.nodes.slice(0, isLong ? 1000 : SHOWN).map((each, i) => (
          <tr key={i}><td className="clip"><Link className="link" to="/series/$uid" params={{ uid: each.series.uid }}>#{each.series.number ?? "–"} {each.series.description ?? "(no description)"}</Link> <small className="quiet">{each.series.manufacturerModelName}</small></td><td>{each.element}</td><td className="mono clip" title={each.expected}>{each.expected}</td><td className="mono clip" title={each.found.join(", ")}><Icon name="warn" className={each.outcome === "WARNING" ? "w" : "f"} /> {each.outcome === "MISSING" ? "not there" : each.found.slice(0, 4).join(", ") + (each.found.length > 4 ? ` and ${String(each.found.length - 4)} more` : "")}{each.outcome === "WARNING" && <small className="quiet"> only a warning</small>}</td></tr>
        ))}</tbody></table></div>}
      {compliance.nodes.length > SHOWN && !isLong && <p className="hint"><button type="button" className="link" onClick={() => { setLong(true); }}>{show(compliance.nodes.length - SHOWN)} more</button></p>}
    </>
  );
}

/** How many of a scanner's series of a month deviate; a click narrows to them. */
function ByScanner({ groups, deviating, texts }: { groups: readonly Group[]; deviating: readonly { manufacturerModelName?: string | null; date?: string | null }[]; texts: readonly string[] }) {
  const keyOf = (scanner: unknown, date: unknown) => JSON.stringify([barOf(SCANNER, { value: scanner }, {}, 0).label, barOf(DATE, { value: date }, MONTHS, 0).label]);
  const all = new Map(groups.map((group) => [keyOf(group.keys[0]?.value, group.keys[1]?.value), group.count]));
  const wrong = new Map<string, number>();
  for (const series of deviating) { const key = keyOf(series.manufacturerModelName, series.date); wrong.set(key, (wrong.get(key) ?? 0) + 1); }
  const rows = barsOf(groups, SCANNER, {}, 0).slice(0, ROWS), columns = barsOf(groups, DATE, MONTHS, 1).slice(-COLUMNS);
  return (
    <div className="wide" tabIndex={0} role="region" aria-label="By scanner and month"><table className="cross bad"><caption className="sr">Series that deviate, of all of a scanner and a month</caption>
      <colgroup><col width={190} /></colgroup>
      <thead><tr><td />{columns.map((column) => <th key={column.label} scope="col" className="clip">{column.label}</th>)}</tr></thead>
      <tbody>{rows.map((row) => <tr key={row.label}><th scope="row" className="clip" title={row.label}>{row.label}</th>{columns.map((column) => {
        const key = JSON.stringify([row.label, column.label]), n = all.get(key) ?? 0, bad = wrong.get(key) ?? 0;
        return <td key={column.label} className={bad ? `c${String(Math.min(5, Math.ceil((5 * bad) / n)))}` : "c0"}>{n > 0 && <Link to="/quality" search={(before: Record<string, unknown>) => ({ ...before, f: [...new Set([...texts, ...row.filters, ...column.filters])] }) as never} aria-label={`${row.label}, ${column.label}: ${String(bad)} of ${String(n)} deviate`}>{bad ? `${show(bad)} of ${show(n)}` : show(n)}</Link>}</td>;
      })}</tr>)}</tbody></table></div>
  );
}
