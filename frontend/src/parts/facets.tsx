import { memo, useState } from "react";
import { useQuery } from "urql";
import { enumName, fieldOf, fieldsOf, show, titleOf, type Entity } from "../lib/fields";
import { toGraphQL, type Condition, type Filter } from "../lib/filters";
import { FACET, FACET_VALUES } from "../lib/rows";
import { Icon } from "./icons";
import { Failure, Loading } from "./states";

const FACETS: Record<Entity, readonly string[]> = {
  patient: ["sex", "dateOfBirth"],
  study: ["date", "description"],
  series: ["modality", "manufacturerModelName", "magneticFieldStrength", "sequenceType", "bodyPartExamined", "protocolName", "manufacturer", "date"],
  image: ["sopClassUid", "transferSyntaxUid", "rows", "columns", "numberOfFrames"],
};

const kept = (entity: Entity) => `dicom-graph:facets:${entity}`;

/** Values to narrow by; a group asks nothing before it is opened. Those that were added are kept for the next visit. */
export const Facets = memo(function Facets({ entity, filters, add }: { entity: Entity; filters: Filter[]; add: (filter: Filter) => void }) {
  const [more, setMore] = useState<readonly string[]>(() => (localStorage.getItem(kept(entity)) ?? "").split(",").filter(Boolean));
  const keep = (names: readonly string[]) => { localStorage.setItem(kept(entity), names.join(",")); setMore(names); };
  const names = [...new Set([...more, ...FACETS[entity]])];
  const others = fieldsOf(entity).filter((field) => field.filter && !names.includes(field.name) && field.type !== "Boolean");
  return (
    <aside className="facets" aria-label="Narrow" tabIndex={0}>
      <header><h2>Narrow</h2>
        <select className="add-facet" aria-label="A further facet" value="" onChange={(event) => { if (event.target.value) keep([event.target.value, ...more]); }}><option value="">+ Facet</option>{others.map((field) => <option key={field.name} value={field.name}>{titleOf(field)}</option>)}</select>
      </header>
      {names.map((name) => <Facet key={name} entity={entity} name={name} filters={filters} add={add} remove={more.includes(name) ? () => { keep(more.filter((each) => each !== name)); } : null} />)}
    </aside>
  );
});

function Facet({ entity, name, filters, add, remove }: { entity: Entity; name: string; filters: Filter[]; add: (filter: Filter) => void; remove: (() => void) | null }) {
  const [open, setOpen] = useState(false);
  const field = fieldOf(entity, name);
  if (!field) return null;
  return (
    <section className="facet">
      <h3><button type="button" aria-expanded={open} onClick={() => { setOpen(!open); }}><Icon name={open ? "open" : "right"} /><b>{titleOf(field)}</b></button><span className="quiet">{entity}</span>{remove && <button type="button" className="x" aria-label={`Remove ${titleOf(field)}`} onClick={remove}><Icon name="x" /></button>}</h3>
      {open && <Values entity={entity} name={name} filters={filters} add={add} />}
    </section>
  );
}

function Values({ entity, name, filters, add }: { entity: Entity; name: string; filters: Filter[]; add: (filter: Filter) => void }) {
  const filter = toGraphQL(filters, entity);
  const [all, setAll] = useState(false);
  const [text, setText] = useState("");
  const [{ data, error, fetching }, again] = useQuery({
    query: all ? FACET_VALUES : FACET,
    variables: { entity: entity.toUpperCase() as "SERIES", field: enumName(name), filter: filter ? { [entity]: filter } : null },
  });
  if (error) return <Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} />;
  if (!data?.facet) return fetching ? <Loading what="values" /> : null;
  const most = Math.max(1, ...data.facet.map((value) => value.count));
  const condition = (value: unknown, not: boolean): Condition => ({ not, level: entity, name, operator: "=", value: value === null || value === undefined ? "" : Array.isArray(value) ? value.join("\\") : String(value) });
  const unit = fieldOf(entity, name)?.unit;
  const found = data.facet.filter(({ value }) => !text || (show(value) || "no value").toLowerCase().includes(text.toLowerCase())).slice(0, all ? 100 : 8);
  return (
    <>
    {all && <input type="search" className="among" aria-label="Find among the values" placeholder={`Find among ${String(data.facet.length)}`} value={text} onChange={(event) => { setText(event.target.value); }} />}
    <ul>
      {found.map(({ value, count }) => (
        <li key={JSON.stringify(value)}>
          <span className="fill" ref={(node) => { node?.style.setProperty("--w", `${String((100 * count) / most)}%`); }} />
          <span className="clip" title={show(value)}>{value === null ? "no value" : show(value)}{value !== null && unit && <small> {unit}</small>}</span>
          <span className="acts">
            <button type="button" className="link" aria-label={`only ${show(value) || "no value"}`} onClick={() => { add([condition(value, false)]); }}>only</button>
            <button type="button" className="link" aria-label={`not ${show(value) || "no value"}`} onClick={() => { add([condition(value, true)]); }}>not</button>
          </span>
          <span className="n">{count.toLocaleString("en")}</span>
        </li>
      ))}
      {found.length === 0 && <li className="quiet">no values</li>}
      {!all && data.facet.length === 8 && <li><button type="button" className="link" onClick={() => { setAll(true); }}>more…</button></li>}
    </ul>
    </>
  );
}
