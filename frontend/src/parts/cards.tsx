import { Link } from "@tanstack/react-router";
import { plural, show } from "../lib/fields";
import { Picture } from "./picture";

interface Series { id: string; uid: string; number?: number | null; description?: string | null; protocolName?: string | null; modality?: string | null; sequenceType?: string | null; nImages: number; echoTime?: number | null; repetitionTime?: number | null }

/** A card for each series: picture, what it is, how much. */
export function Cards({ series }: { series: readonly Series[] }) {
  return (
    <ul className="cards">{series.map((each) => (
      <li key={each.id}><Link to="/series/$uid" params={{ uid: each.uid }} className="card">
        <Picture kind="series" uid={each.uid} label={each.modality ?? ""} size={148} />
        <span className="clip">#{each.number ?? "–"} {each.description ?? each.protocolName ?? ""}</span>
        <span className="muted clip">{[each.modality, plural(each.nImages, "image"), each.sequenceType?.toLowerCase(), each.repetitionTime ? `TR ${show(each.repetitionTime)}` : ""].filter(Boolean).join(" · ")}</span>
      </Link></li>
    ))}</ul>
  );
}
