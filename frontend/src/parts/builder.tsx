import { useId, useState } from "react";
import { useQuery } from "urql";
import { ENTITIES, enumName, fieldOf, fieldsOf, inWords, isNumeric, titleOf, type Entity, type Field } from "../lib/fields";
import { isComplete, LEVEL_WORDS, OPERATOR_WORDS, type Condition, type Filter, type Level, type Operator } from "../lib/filters";
import { FACET_VALUES } from "../lib/rows";
import { useElements } from "./completion";
import { Icon } from "./icons";

const NOTHING: Condition = { not: false, level: "series", name: "", operator: "=", value: "" };
const IN_HEADERS: readonly [Level, string][] = [["element", "An element, at any depth"], ["header", "An element, at the top level"], ["csa", "A value of the CSA header"]];
const OPERATORS: readonly (Operator | "missing")[] = ["=", "!=", "~", "^=", ">=", "<=", ">", "<", "?", "missing"];
const ONLY_OF_TEXTS = new Set(["~", "^="]), ONLY_OF_RANGES = new Set([">=", "<=", ">", "<"]);
const SPANS: readonly [string, number][] = [["last 7 days", 7], ["last 30 days", 30], ["last year", 365]];
const DAY_MS = 86_400_000;

/** The conditions of a filter, any of which must hold, chosen from lists. */
export function Builder({ entity, filter, change }: { entity: Entity; filter: Filter; change: (filter: Filter) => void }) {
  const shown = filter.length ? filter : [NOTHING];
  const last = shown.at(-1);
  return (
    <div className="build">
      {shown.map((condition, i) => (
        <div className="row" key={i} role="group" aria-label={`Condition ${String(i + 1)}`}>
          {i > 0 && <span className="joint">or</span>}
          <Row entity={entity} condition={condition} change={(next) => { change(shown.map((each, k) => (k === i ? next : each))); }} />
          {shown.length > 1 && <button type="button" className="btn plain icon-only" aria-label="Remove this condition" onClick={() => { change(shown.filter((_, k) => k !== i)); }}><Icon name="x" /></button>}
        </div>
      ))}
      {last && isComplete(last) && <button type="button" className="btn small" onClick={() => { change([...shown, { ...last, value: "" }]); }}>or …</button>}
    </div>
  );
}

function Row({ entity, condition, change }: { entity: Entity; condition: Condition; change: (condition: Condition) => void }) {
  const { level, name, operator, value, not } = condition;
  const ofImages = level === "every";
  const isField = ofImages || (ENTITIES as readonly string[]).includes(level);
  const field = isField ? fieldOf(ofImages ? "image" : (level as Entity), name) : undefined;
  const levels = [entity, ...ENTITIES.filter((each) => each !== entity)];
  const isMissing = not && operator === "?";
  const pick = (key: string) => {
    const [to, ...rest] = key.split(".");
    const picked = fieldOf(to === "every" ? "image" : (to as Entity), rest.join("."));
    change({ not: false, level: to as Level, name: rest.join("."), operator: picked && isDate(picked) ? ">=" : "=", value: picked?.type === "Boolean" ? "true" : "" });
  };
  return (
    <>
      <select aria-label="Field" value={isField ? (name && `${level}.${name}`) : `${level}.`} onChange={(event) => { pick(event.target.value); }}>
        <option value="" disabled>Choose a field…</option>
        {levels.map((each) => <optgroup key={each} label={inWords(LEVEL_WORDS[each])}>{filterable(each).map((one) => <option key={one.name} value={`${each}.${one.name}`}>{titleOf(one)}</option>)}</optgroup>)}
        <optgroup label="Headers">{IN_HEADERS.map(([each, title]) => <option key={each} value={`${each}.`}>{title}</option>)}</optgroup>
        {entity !== "image" && <optgroup label="Every image">{filterable("image").map((one) => <option key={one.name} value={`every.${one.name}`}>{titleOf(one)}</option>)}</optgroup>}
      </select>
      {!isField && <ElementName level={level} name={name} change={(next) => { change({ ...condition, name: next }); }} />}
      {(name || !isField) && <>
        <button type="button" className="btn small" aria-pressed={not && !isMissing} onClick={() => { change({ ...condition, not: !not }); }} disabled={isMissing}>not</button>
        <select aria-label="Comparison" value={isMissing ? "missing" : operator} onChange={(event) => { const to = event.target.value as Operator | "missing"; change({ ...condition, not: to === "missing" || (not && !isMissing), operator: to === "missing" ? "?" : to, value: to === "missing" || to === "?" ? "" : value }); }}>
          {OPERATORS.filter((each) => fits(each, field)).map((each) => <option key={each} value={each}>{each === "missing" ? "is missing" : OPERATOR_WORDS[each]}</option>)}
        </select>
        {operator !== "?" && <Value entity={ofImages ? "image" : (level as Entity)} field={field} value={value} change={(next) => { change({ ...condition, value: next }); }} />}
        {field && isDate(field) && SPANS.map(([title, days]) => <button key={days} type="button" className="btn small" onClick={() => { change({ ...condition, not: false, operator: ">=", value: new Date(Date.now() - days * DAY_MS).toISOString().slice(0, 10) }); }}>{title}</button>)}
      </>}
    </>
  );
}

const filterable = (entity: Entity): Field[] => fieldsOf(entity).filter((field) => field.filter).sort((a, b) => titleOf(a).localeCompare(titleOf(b)));
const isDate = (field: Field): boolean => field.type === "Date" || field.type === "DateTime";

function fits(operator: Operator | "missing", field: Field | undefined): boolean {
  if (!field) return true;
  if (field.type === "Boolean") return operator === "=";
  if (field.type === "DateTime" && operator === "!=") return false;
  if (field.list || field.filter === "SequenceTypeFilter") return ["=", "?", "missing"].includes(operator);
  if (isNumeric(field) || isDate(field) || field.type === "Time") return !ONLY_OF_TEXTS.has(operator);
  return !ONLY_OF_RANGES.has(operator);
}

function ElementName({ level, name, change }: { level: Level; name: string; change: (name: string) => void }) {
  const offers = useElements(level === "csa" ? "" : name, undefined), id = useId();
  return (
    <>
      <input type="text" list={id} aria-label="Element" placeholder={level === "csa" ? "B_value" : "EchoTime, (0018,0081)…"} value={name} onChange={(event) => { change(event.target.value); }} />
      <datalist id={id}>{offers.map((offer) => <option key={offer.name} value={offer.name}>{offer.detail}</option>)}</datalist>
    </>
  );
}

/** Values that occur are offered once the field has the focus. */
function Value({ entity, field, value, change }: { entity: Entity; field: Field | undefined; value: string; change: (value: string) => void }) {
  const [asked, setAsked] = useState(false), id = useId();
  const isOffered = field !== undefined && !isDate(field) && field.type !== "Boolean" && !field.list;
  const [{ data }] = useQuery({ query: FACET_VALUES, variables: { entity: entity.toUpperCase() as "SERIES", field: field ? enumName(field.name) : null, filter: null }, pause: !asked || !isOffered });
  if (field?.type === "Boolean") return <select aria-label="Value" value={value} onChange={(event) => { change(event.target.value); }}><option value="true">yes</option><option value="false">no</option></select>;
  return (
    <>
      <input type={field && isDate(field) ? "date" : "text"} inputMode={field && isNumeric(field) ? "decimal" : undefined} list={isOffered ? id : undefined} aria-label="Value" value={value} onFocus={() => { setAsked(true); }} onChange={(event) => { change(event.target.value); }} />
      {field?.unit && <span className="quiet">{field.unit}</span>}
      {isOffered && <datalist id={id}>{(data?.facet ?? []).filter((each) => each.value !== null && each.value !== undefined).map((each) => <option key={String(each.value)} value={String(each.value)}>{String(each.count)}</option>)}</datalist>}
    </>
  );
}
