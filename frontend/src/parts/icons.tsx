const PATHS = {
  search: "M7 12a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM11 11l3 3",
  plus: "M8 3v10M3 8h10",
  x: "M4 4l8 8M12 4l-8 8",
  columns: "M2 3h12v10H2zM6 3v10M10 3v10",
  code: "M5 4L1.5 8 5 12M11 4l3.5 4L11 12",
  warn: "M8 2l6.5 11.5h-13zM8 6.5v3.5M8 12v.01",
  fail: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM6 6l4 4M10 6l-4 4",
  down: "M8 2v8M4.5 7L8 10.5 11.5 7M3 13.5h10",
  up: "M8 11V3M4.5 6L8 2.5 11.5 6M3 13.5h10",
  right: "M6 4l4 4-4 4",
  open: "M4 6l4 4 4-4",
  play: "M5 3l8 5-8 5z",
  pause: "M5 3v10M11 3v10",
  folder: "M2 4h4l1.5 2H14v7H2z",
  file: "M4 2h5l3 3v9H4zM9 2v3h3",
  compare: "M2.5 3h4v10h-4zM9.5 3h4v10h-4z",
  tree: "M3 2v11h4M3 7h4M9 7h5M9 13h5M5 2h7",
  menu: "M2 4h12M2 8h12M2 12h12",
  bars: "M3 13V8M7 13V3M11 13V6",
  list: "M3 4h10M3 8h7M3 12h5",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1M8 14v1M1 8h1M14 8h1M3 3l.7.7M12.3 12.3l.7.7M3 13l.7-.7M12.3 3.7L13 3",
} as const;
export type IconName = keyof typeof PATHS;

export function Icon({ name, className = "" }: { name: IconName; className?: string }) {
  return (
    <svg className={`icon ${className}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
