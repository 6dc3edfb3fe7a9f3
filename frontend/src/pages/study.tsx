export function StudyPage() {
  return <div className="page"><h1>StudyPage</h1></div>;
}
