import { Link } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { useClient } from "urql";
import { graphql } from "../gql";
import { at } from "../lib/base";
import { plural, show } from "../lib/fields";
import { Icon } from "./icons";
import { Picture, ServerPicture } from "./picture";

const STACKS = graphql(`
  query Stacks($uid: String!) {
    seriesByUid(uid: $uid) { id volumes { stack shape axes label warnings picture: previewUrl(axis: K, size: 296) } }
  }
`);
interface Stack { stack: number; shape: number[]; axes: string[]; label: string; warnings: string[]; picture: string }
interface Series { id: string; uid: string; number?: number | null; description?: string | null; protocolName?: string | null; modality?: string | null; sequenceType?: string | null; nImages: number; echoTime?: number | null; repetitionTime?: number | null }

let last: Promise<unknown> = Promise.resolve();
/** One question of volumes after the other: each reads the headers of all files of its series. */
function inTurn<T>(ask: () => Promise<T>): Promise<T> {
  const mine = last.then(ask, ask);
  last = mine;
  return mine;
}

/** A card for each stack of each series: picture, what it is, how much, what is doubtful. */
export function Cards({ series, stacks = false }: { series: readonly Series[]; stacks?: boolean }) {
  return <ul className="cards">{series.map((each) => <SeriesCards key={each.id} series={each} stacks={stacks} />)}</ul>;
}

function SeriesCards({ series, stacks }: { series: Series; stacks: boolean }) {
  const client = useClient();
  const place = useRef<HTMLLIElement>(null);
  const [found, setFound] = useState<readonly Stack[]>([]);
  useEffect(() => {
    const node = place.current;
    if (!stacks || !node) return;
    let gone = false;
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      void inTurn(async () => {
        if (gone) return;
        const { data } = await client.query(STACKS, { uid: series.uid }).toPromise();
        if (data?.seriesByUid?.volumes) setFound(data.seriesByUid.volumes);
      });
    });
    seen.observe(node);
    return () => { gone = true; seen.disconnect(); };
  }, [client, series.uid, stacks]);
  const title = `#${String(series.number ?? "–")} ${series.description ?? series.protocolName ?? ""}`;
  const kind = [series.modality, series.sequenceType?.toLowerCase().replaceAll("_", " "), series.repetitionTime ? `TR ${show(series.repetitionTime)}` : ""].filter(Boolean).join(" · ");
  if (found.length < 2) {
    const stack = found[0];
    return (
      <li ref={place}><Link to="/series/$uid" params={{ uid: series.uid }} className="card">
        <Picture kind="series" uid={series.uid} label={series.modality ?? ""} size={148} />
        <span className="clip">{title}</span>
        <span className="muted clip">{stack ? amount(stack) : plural(series.nImages, "image")}{stack && stack.warnings.length > 0 && <Warned texts={stack.warnings} />}</span>
        <span className="muted clip">{kind}</span>
      </Link></li>
    );
  }
  return <>{found.map((stack, i) => (
    <li key={stack.stack} ref={i === 0 ? place : undefined}><Link to="/series/$uid" params={{ uid: series.uid }} search={(stack.stack ? { stack: String(stack.stack) } : {}) as never} className="card">
      <ServerPicture url={at(stack.picture)} label={series.modality ?? ""} size={148} />
      <span className="clip" title={stack.label}>{title} <span className="tag">{stack.stack + 1} of {found.length}</span></span>
      <span className="muted clip">{amount(stack)}{stack.warnings.length > 0 && <Warned texts={stack.warnings} />}</span>
      <span className="muted clip" title={stack.label}>{stack.label.split("\\").at(-1)}</span>
    </Link></li>
  ))}</>;
}

/** `35 slices × 156 time`. */
function amount({ shape, axes }: Stack): string {
  const more = axes[3] && axes[3] !== "colour" ? ` × ${String(shape[3])} ${axes[3]}` : "";
  return plural(shape[2] ?? 1, "slice") + more;
}

function Warned({ texts }: { texts: string[] }) {
  return <span className="tag warn" title={texts.join("\n")}><Icon name="warn" />{texts.length}</span>;
}
