export function Quality() {
  return <div className="page"><h1>Quality</h1></div>;
}
