export function Explore() {
  return <div className="page"><h1>Explore</h1></div>;
}
