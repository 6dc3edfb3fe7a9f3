export function PatientPage() {
  return <div className="page"><h1>PatientPage</h1></div>;
}
