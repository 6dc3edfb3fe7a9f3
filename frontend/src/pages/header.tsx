export function HeaderPage() {
  return <div className="page"><h1>HeaderPage</h1></div>;
}
