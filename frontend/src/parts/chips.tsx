import { memo, useEffect, useRef, useState } from "react";
import { fieldsOf, titleOf, type Entity } from "../lib/fields";
import { formatFilter, isComplete, LEVEL_WORDS, nameOf, OPERATOR_WORDS, parseFilter, type Condition, type Filter } from "../lib/filters";
import { Builder } from "./builder";
import { useElements } from "./completion";
import { Icon } from "./icons";
import { useKeys } from "./keys";

const IMAGE_LEVELS = new Set(["image", "every", "header", "element", "csa"]);

function Part({ condition, drop, edit }: { condition: Condition; drop: () => void; edit: () => void }) {
  const value = condition.operator === "?" ? "" : condition.value === "" ? "missing" : condition.value;
  return (
    <span className="chip">
      <span className={IMAGE_LEVELS.has(condition.level) ? "lvl img" : "lvl"}>{LEVEL_WORDS[condition.level]}</span>
      <button type="button" className="cond" title="Change" onClick={edit}>{condition.not && <i>not</i>} {nameOf(condition)} <i>{OPERATOR_WORDS[condition.operator]}</i> {value}</button>
      <button type="button" className="x" aria-label={`Remove the filter ${nameOf(condition)} ${OPERATOR_WORDS[condition.operator]} ${value}`} onClick={drop}><Icon name="x" /></button>
    </span>
  );
}

/** The filters of a page as chips, and a field to type a new one. */
export const Chips = memo(function Chips({ entity, filters, change }: { entity: Entity; filters: Filter[]; change: (filters: Filter[]) => void }) {
  const [open, setOpen] = useState(false);
  const [changed, setChanged] = useState<number | null>(null);
  const close = () => { setOpen(false); setChanged(null); };
  useKeys((event) => { if (event.key === "f") { event.preventDefault(); setOpen(true); } });
  return (
    <div className="chips grow">
      <button type="button" className="btn" aria-expanded={open} onClick={() => { setChanged(null); setOpen(!open); }}><Icon name="plus" /> Filter <kbd aria-hidden="true">F</kbd></button>
      {filters.map((filter, i) => {
        const parts = filter.map((condition, j) => (
          <Part key={j} condition={condition} edit={() => { setChanged(i); setOpen(true); }} drop={() => { change(filters.map((each, k) => (k === i ? each.filter((_, n) => n !== j) : each)).filter((each) => each.length)); }} />
        ));
        return parts.length > 1
          ? <span className="group" key={i}>{parts.flatMap((part, j) => (j ? [<span className="joint" key={`or${String(j)}`}>or</span>, part] : [part]))}</span>
          : parts[0];
      })}
      {open && <Editor key={String(changed)} entity={entity} given={changed === null ? "" : formatFilter(filters[changed] ?? [])} close={close} add={(filter) => { change(changed === null ? [...filters, filter] : filters.map((each, k) => (k === changed ? filter : each))); close(); }} />}
    </div>
  );
});

function Editor({ entity, given, add, close }: { entity: Entity; given: string; add: (filter: Filter) => void; close: () => void }) {
  const [text, setText] = useState(given);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => { input.current?.focus(); }, []);
  const [built, setBuilt] = useState<Filter | null>(null);
  const typed = parseFilter(text, entity);
  const filter = built ? built.filter(isComplete) : typed;
  const type = (next: string) => { setBuilt(null); setText(next); };
  const build = (next: Filter) => { setBuilt(next); setText(formatFilter(next.filter(isComplete))); };
  const word = (/^[!a-z.]*?([A-Za-z]+)$/.exec(text)?.[1] ?? "").toLowerCase();
  const levels: Entity[] = [entity, ...(["series", "study", "patient", "image"] as const).filter((level) => level !== entity)];
  const offers = word ? levels.flatMap((level) => fieldsOf(level).filter((field) => field.filter && (titleOf(field).toLowerCase().includes(word) || field.name.toLowerCase().includes(word))).map((field) => ({ level, field }))).slice(0, 6) : [];
  const elements = useElements(filter.length ? "" : word, undefined).slice(0, 5);
  return (
    <form className="editor" onSubmit={(event) => { event.preventDefault(); if (filter.length) add(filter); }} onKeyDown={(event) => { if (event.key === "Escape") close(); }}>
      <input ref={input} type="text" aria-label="New filter" value={text} placeholder="modality=MR, EchoTime<=40, csa.B_value>0 …" onChange={(event) => { type(event.target.value); }} />
      <button className="btn primary" disabled={!filter.length}>{given ? "Change" : "Add"}</button>
      <button type="button" className="btn plain" onClick={close}>Cancel</button>
      <Builder entity={entity} filter={built ?? typed} change={build} />
      {filter.length > 0
        ? <p className="quiet">{filter.map((condition) => `${condition.not ? "not " : ""}${LEVEL_WORDS[condition.level]}: ${nameOf(condition)} ${OPERATOR_WORDS[condition.operator]} ${condition.value}`).join(" or ")}</p>
        : offers.length + elements.length > 0
          ? <ul className="complete">{offers.map(({ level, field }) => (
              <li key={level + field.name}><button type="button" onClick={() => { type(`${level}.${field.name}=`); input.current?.focus(); }}>{titleOf(field)} <small>{LEVEL_WORDS[level]}</small></button></li>
            ))}{elements.map((each) => (
              <li key={each.name}><button type="button" onClick={() => { type(`element.${each.name}=`); input.current?.focus(); }}>{each.title} <small>{LEVEL_WORDS.element}</small></button><small className="mono">{each.detail}</small></li>
            ))}</ul>
          : <p className="quiet">Choose above, or type: a field or a DICOM keyword, then = != ~ ^= &lt; &gt; &lt;= &gt;= and a value; | between alternatives, ! before what must not hold. An element is looked for in any image at any depth.</p>}
    </form>
  );
}

export { formatFilter };
