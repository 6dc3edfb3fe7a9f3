import { useEffect, useState } from "react";
import { useQuery } from "urql";
import { DEFINITIONS, PATHS } from "../lib/rows";

export interface Offer { name: string; title: string; detail: string }

/** A tag without what separates lists in an address: `(0019,xx9C)` as `0019xx9C`. */
const plain = (tag: string) => tag.replace(/[(),]/g, "");

/**
 * Elements that match what was typed: by keyword, private ones by name or creator, and nested ones
 * of the header of one object (`sample`, its global id) by the path to them.
 */
export function useElements(text: string, sample: string | undefined): Offer[] {
  const [wanted, setWanted] = useState("");
  useEffect(() => { const timer = window.setTimeout(() => { setWanted(text.trim()); }, 150); return () => { window.clearTimeout(timer); }; }, [text]);
  const pause = wanted.length < 2;
  const [{ data }] = useQuery({ query: DEFINITIONS, variables: { text: wanted }, pause });
  const [paths] = useQuery({ query: PATHS, variables: { id: sample ?? "" }, pause: pause || !sample });
  if (text.trim().length < 2) return [];
  const found: Offer[] = [];
  const add = (offer: Offer) => { if (!found.some((each) => each.name === offer.name)) found.push(offer); };
  for (const each of data?.standard?.nodes ?? []) if (each.keyword) add({ name: each.keyword, title: each.keyword, detail: `${each.tag} ${each.vr}` });
  const node = paths.data?.node;
  const table = node && "sampleHeader" in node ? node.sampleHeader?.table : node && "header" in node ? node.header?.table : null;
  const lower = wanted.toLowerCase();
  for (const each of (table ?? []).filter((row) => row.depth > 0 && row.vr !== "SQ" && `${row.keyword ?? ""} ${row.name}`.toLowerCase().includes(lower)).slice(0, 6)) {
    add({ name: each.path, title: each.keyword ?? each.name, detail: `in ${each.path.split(".").slice(0, -1).join(".")}` });
  }
  for (const each of [...(data?.private?.nodes ?? []), ...(data?.ofCreator?.nodes ?? [])]) {
    add({ name: `${each.privateCreator ?? ""}:${plain(each.tag)}`, title: each.name, detail: `${each.privateCreator ?? ""} ${each.tag} ${each.vr}` });
  }
  const typed = text.trim();
  if (/^\(?[0-9A-Fa-f]{4},?[0-9A-Fa-fx]{4}\)?$/.test(typed)) add({ name: plain(typed), title: typed, detail: "a tag" });
  else if (/^[A-Za-z0-9()]+(\[\d+\])?(\.[A-Za-z0-9()]+(\[\d+\])?)+$/.test(typed)) add({ name: typed, title: typed, detail: "a path into sequences" });
  return found;
}
