import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useQuery } from "urql";
import { graphql } from "../gql";
import { show } from "../lib/fields";
import { Failure, Loading } from "./states";

const VARYING = graphql(`
  query SeriesVarying($uid: String!) {
    seriesByUid(uid: $uid) { id varyingElements { tag path nDistinct nMissing definition { id keyword name vr privateCreator } } }
  }
`);
const VALUES = graphql(`
  query VaryingValues($uid: String!, $tags: [String!]) {
    seriesByUid(uid: $uid) {
      id
      images(first: 500, orderBy: [{ field: NUMBER }]) { nodes { id number header { id elements(tags: $tags) { id tag value } } } }
    }
  }
`);
const NUMERIC = new Set(["DS", "IS", "FD", "FL", "SS", "US", "SL", "UL"]);

/** Whether it is what differs among frames, below a sequence. */
const ofFrames = (each: { path: string }) => each.path.includes(".");

/** The elements that differ among the headers of a series, or among frames; numbers as a plot over the images. */
export function Varies({ uid, nImages }: { uid: string; nImages: number }) {
  const [text, setText] = useState("");
  const [{ data, error, fetching }] = useQuery({ query: VARYING, variables: { uid } });
  const all = data?.seriesByUid?.varyingElements ?? [];
  const numbers = all.filter((each) => !ofFrames(each) && NUMERIC.has(each.definition.vr) && each.definition.keyword).map((each) => each.tag).slice(0, 24);
  const [values] = useQuery({ query: VALUES, variables: { uid, tags: numbers }, pause: !numbers.length || nImages < 2 });
  if (error) return <Failure error={error} />;
  if (fetching && !data) return <Loading what="what varies" />;
  if (all.length === 0) return <p className="hint quiet">{nImages === 1 ? "One image of one frame, or of frames that are all alike: nothing varies." : "Nothing varies between these headers."}</p>;
  const wanted = text.toLowerCase();
  const shown = all.filter((each) => !wanted || `${each.path} ${each.definition.name} ${each.tag}`.toLowerCase().includes(wanted))
    .sort((a, b) => Number(numbers.includes(b.tag)) - Number(numbers.includes(a.tag)));
  const nodes = values.data?.seriesByUid?.images.nodes ?? [];
  const series = (tag: string) => nodes.map((image) => {
    const value = image.header?.elements.find((element) => element.tag === tag)?.value;
    const first: unknown = Array.isArray(value) ? null : value;
    return typeof first === "number" ? first : null;
  });
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label="What varies">
      <div className="find-row"><input type="search" aria-label="Find among what varies" placeholder={`Find among ${String(all.length)}`} value={text} onChange={(event) => { setText(event.target.value); }} /></div>
      <table className="varies">
        <thead><tr><th>Element</th><th className="num">least</th><th><span className="sr">Over the images</span></th><th>most</th><th className="num">distinct</th><th className="num">missing</th></tr></thead>
        <tbody>{shown.slice(0, 100).map((each) => {
          const numbersOf = !ofFrames(each) && numbers.includes(each.tag) ? series(each.tag) : [];
          const there = numbersOf.filter((value) => value !== null);
          const least = there.length ? Math.min(...there) : null, most = there.length ? Math.max(...there) : null;
          return (
            <tr key={each.path + (each.definition.privateCreator ?? "")}>
              <td className="clip" title={each.path}>{each.definition.keyword ?? each.definition.name} <span className="mono quiet">{each.tag}</span> {ofFrames(each) && <span className="tag">frames</span>} {each.definition.privateCreator && <span className="tag">{each.definition.privateCreator}</span>}</td>
              <td className="num">{show(least)}</td>
              <td>{there.length > 1 && <Plot values={numbersOf} label={`${each.definition.keyword ?? each.tag} from ${show(least)} to ${show(most)}`} />}</td>
              <td>{show(most)}</td>
              <td className="num">{show(each.nDistinct)}</td>
              <td className="num">{each.nMissing ? show(each.nMissing) : ""}</td>
            </tr>
          );
        })}</tbody>
      </table>
    </div>
  );
}

function Plot({ values, label }: { values: (number | null)[]; label: string }) {
  const place = useRef<HTMLDivElement>(null);
  const key = values.join(",");
  useEffect(() => {
    if (!place.current) return;
    const colour = getComputedStyle(place.current).color;
    const plot = new uPlot(
      { width: 170, height: 22, legend: { show: false }, cursor: { show: false }, padding: [2, 2, 2, 2], axes: [{ show: false }, { show: false }], scales: { x: { time: false } }, series: [{}, { stroke: colour, width: 1.2, points: { show: false } }] },
      [values.map((_, i) => i), values], place.current,
    );
    return () => { plot.destroy(); };
  }, [key, values]);
  return <div className="plot-of-values" ref={place} role="img" aria-label={label} />;
}
