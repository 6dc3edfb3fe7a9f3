export function Imports() {
  return <div className="page"><h1>Imports</h1></div>;
}
