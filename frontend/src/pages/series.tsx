export function SeriesPage() {
  return <div className="page"><h1>SeriesPage</h1></div>;
}
