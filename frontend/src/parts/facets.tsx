import { useState } from "react";
import { useQuery } from "urql";
import { enumName, fieldOf, show, titleOf, type Entity } from "../lib/fields";
import { toGraphQL, type Condition, type Filter } from "../lib/filters";
import { FACET } from "../lib/rows";
import { Icon } from "./icons";
import { Failure, Loading } from "./states";

const FACETS: Record<Entity, readonly string[]> = {
  patient: ["sex", "dateOfBirth"],
  study: ["date", "description"],
  series: ["modality", "manufacturerModelName", "magneticFieldStrength", "sequenceType", "bodyPartExamined", "protocolName", "manufacturer", "date"],
  image: ["sopClassUid", "transferSyntaxUid", "rows", "columns", "numberOfFrames"],
};

/** Values to narrow by; a group asks nothing before it is opened. */
export function Facets({ entity, filters, add }: { entity: Entity; filters: Filter[]; add: (filter: Filter) => void }) {
  return (
    <aside className="facets" aria-label="Narrow" tabIndex={0}>
      <header><h2>Narrow</h2></header>
      {FACETS[entity].map((name) => <Facet key={name} entity={entity} name={name} filters={filters} add={add} />)}
    </aside>
  );
}

function Facet({ entity, name, filters, add }: { entity: Entity; name: string; filters: Filter[]; add: (filter: Filter) => void }) {
  const [open, setOpen] = useState(false);
  const field = fieldOf(entity, name);
  if (!field) return null;
  return (
    <section className="facet">
      <h3><button type="button" aria-expanded={open} onClick={() => { setOpen(!open); }}><Icon name={open ? "open" : "right"} /><b>{titleOf(field)}</b></button><span className="quiet">{entity}</span></h3>
      {open && <Values entity={entity} name={name} filters={filters} add={add} />}
    </section>
  );
}

function Values({ entity, name, filters, add }: { entity: Entity; name: string; filters: Filter[]; add: (filter: Filter) => void }) {
  const filter = toGraphQL(filters, entity);
  const [{ data, error, fetching }, again] = useQuery({
    query: FACET,
    variables: { entity: entity.toUpperCase() as "SERIES", field: enumName(name), filter: filter ? { [entity]: filter } : null },
  });
  if (error) return <Failure error={error} again={() => { again({ requestPolicy: "network-only" }); }} />;
  if (!data?.facet) return fetching ? <Loading what="values" /> : null;
  const most = Math.max(1, ...data.facet.map((value) => value.count));
  const condition = (value: unknown, not: boolean): Condition => ({ not, level: entity, name, operator: "=", value: value === null || value === undefined ? "" : Array.isArray(value) ? value.join("\\") : String(value) });
  return (
    <ul>
      {data.facet.map(({ value, count }) => (
        <li key={JSON.stringify(value)}>
          <span className="fill" ref={(node) => { node?.style.setProperty("--w", `${String((100 * count) / most)}%`); }} />
          <span className="clip">{value === null ? "no value" : show(value)}</span>
          <span className="acts">
            <button type="button" className="link" aria-label={`only ${show(value) || "no value"}`} onClick={() => { add([condition(value, false)]); }}>only</button>
            <button type="button" className="link" aria-label={`not ${show(value) || "no value"}`} onClick={() => { add([condition(value, true)]); }}>not</button>
          </span>
          <span className="n">{count.toLocaleString("en")}</span>
        </li>
      ))}
      {data.facet.length === 0 && <li className="quiet">no values</li>}
    </ul>
  );
}
