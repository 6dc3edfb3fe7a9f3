import { graphql } from "../gql";
import { show } from "./fields";

export const ELEMENTS = graphql(`
  query Items($id: ID!) {
    node(id: $id) {
      ... on DataElement {
        id
        items { id index elements { id tag privateCreator vr keyword name vm length warnings value values { index raw } } }
      }
    }
  }
`);

/** An element as the header page asks for it. */
export interface Item {
  id: string; tag: string; privateCreator?: string | null; vr: string; keyword?: string | null; name: string; vm: number; length: string;
  warnings: string[]; value?: unknown; values: { index: number; raw?: string | null }[];
}
/** A line of the tree. */
export interface Line {
  kind: "group" | "element" | "item";
  path: string; name: string; depth: number; tag: string; vr: string; raw: string; parsed: string;
  folds: boolean; isOpen: boolean; isMatch: boolean; element: Item | null;
}
interface Choice { open: ReadonlySet<string>; loaded: ReadonlyMap<string, Item[][]>; text: string; isPrivate: boolean }

export function rawOf(element: Item): string {
  if (element.vr === "SQ") return element.vm === 1 ? "1 item" : `${String(element.vm)} items`;
  const values = element.values.slice(0, 12).map((value) => value.raw ?? "");
  const text = values.join("\\");
  if (/^(OB|OW|OF|OD|OL|OV|UN)$/.test(element.vr) && (text.length > 40 || !text)) return `${element.length} bytes`;
  return text.length > 160 ? `${text.slice(0, 160)}…` : element.values.length > 12 ? `${text}…` : text;
}

function parsedOf(element: Item): string {
  if (element.vr === "SQ" || element.vr === "UI") return "";
  if (Array.isArray(element.value)) return `${String(element.vm)} values`;
  const text = show(element.value);
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}

const matches = (element: Item, wanted: string) => `${element.name} ${element.keyword ?? ""} ${element.tag} ${element.privateCreator ?? ""} ${rawOf(element)}`.toLowerCase().includes(wanted);

/** The lines that are on show: groups, elements, and what is below open sequences or matches. */
export function flatten(elements: readonly Item[], choice: Choice): Line[] {
  const wanted = choice.text.toLowerCase();
  const lines: Line[] = [];
  const below = (element: Item): boolean => matches(element, wanted) || (choice.loaded.get(element.id)?.some((item) => item.some(below)) ?? false);
  const add = (list: readonly Item[], depth: number, prefix: string) => {
    const shown = list.filter((each) => (choice.isPrivate || !each.privateCreator) && (!wanted || below(each)));
    let group = "";
    for (const element of shown) {
      const title = element.privateCreator ? `Group ${element.tag.slice(1, 5)}, private: ${element.privateCreator}` : `Group ${element.tag.slice(1, 5)}`;
      if (depth === 0 && title !== group) {
        group = title;
        const n = shown.filter((each) => each.tag.slice(1, 5) === element.tag.slice(1, 5) && each.privateCreator === element.privateCreator).length;
        lines.push({ kind: "group", path: `${title} ${String(lines.length)}`, name: title, depth: 0, tag: "", vr: "", raw: n === 1 ? "1 element" : `${String(n)} elements`, parsed: "", folds: false, isOpen: false, isMatch: false, element: null });
      }
      const path = `${prefix}${element.tag}${element.privateCreator ?? ""}`;
      const folds = element.vr === "SQ" && element.vm > 0;
      const isMatch = wanted !== "" && matches(element, wanted);
      const isOpen = folds && (choice.open.has(path) || (wanted !== "" && !isMatch));
      lines.push({ kind: "element", path, name: element.name, depth, tag: element.tag, vr: element.vr, raw: rawOf(element), parsed: parsedOf(element), folds, isOpen, isMatch, element });
      if (!isOpen) continue;
      choice.loaded.get(element.id)?.forEach((item, i) => {
        if (wanted && !isMatch && !item.some(below)) return;
        const inner = `${path}[${String(i)}].`;
        lines.push({ kind: "item", path: inner, name: `Item [${String(i)}]`, depth: depth + 1, tag: "", vr: "", raw: `${String(item.length)} elements`, parsed: "", folds: false, isOpen: true, isMatch: false, element: null });
        add(item, depth + 2, inner);
      });
    }
  };
  add(elements, 0, "");
  return lines;
}
