import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { at } from "../lib/base";
import { useLost } from "../lib/client";
import { setTheme, theme, type Theme } from "../lib/theme";
import { useViewer } from "../lib/viewer";
import { Icon } from "./icons";
import { Keys } from "./keys";
import { Running } from "./running";

const PAGES = [
  ["/", "Home"], ["/patients", "Patients"], ["/studies", "Studies"], ["/series", "Series"], ["/images", "Images"],
  ["/explore", "Explore"], ["/imports", "Imports"], ["/quality", "Quality"],
] as const;
const TITLES: Record<string, string> = { elements: "Elements", search: "Search", compare: "Compare headers", headers: "Header" };
const OF_ONE: Record<string, string> = { patients: "Patient", studies: "Study", series: "A series", images: "Header", elements: "Element", imports: "Import" };

/** What a tab says: the page without anything of a person, since browsers keep it. */
function titleOf(path: string): string {
  const [, first = "", second] = path.split("/");
  return (second && OF_ONE[first]) ?? TITLES[first] ?? PAGES.find(([to]) => to === `/${first}`)?.[1] ?? "No such page";
}

export function Shell() {
  const path = useRouterState({ select: (state) => state.location.pathname });
  const main = useRef<HTMLElement>(null);
  const [menu, setMenu] = useState(false);
  const lost = useLost();
  useEffect(() => {
    setMenu(false);
    document.title = `${titleOf(path)} · dicom-graph`;
  }, [path]);
  return (
    <>
      <a className="skip" href="#main" onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>Skip to content</a>
      <header className="bar">
        <button type="button" className="btn plain icon-only menu" aria-label="Menu" aria-expanded={menu} onClick={() => { setMenu(!menu); }}><Icon name="menu" /></button>
        <Link to="/" className="brand" aria-label="dicom-graph, Home">
          <svg viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinejoin="round" aria-hidden="true"><path d="M10 3l7 3.5-7 3.5-7-3.5zM3 10l7 3.5 7-3.5M3 13.5L10 17l7-3.5" /></svg>
          <span>dicom-graph</span>
        </Link>
        <nav className={menu ? "nav open" : "nav"} aria-label="Pages">
          {PAGES.map(([to, name]) => (
            <Link key={to} to={to} activeOptions={{ exact: to === "/", includeSearch: false }} activeProps={{ "aria-current": "page" }}>{name}</Link>
          ))}
        </nav>
        <Find />
        <Running />
        <div className="who">
          <ThemeChoice />
          <Who />
        </div>
      </header>
      {lost && (
        <div className="lost" role="status"><Icon name="warn" /><span>The server cannot be reached. What is shown stays; it is asked again until it answers.</span></div>
      )}
      <main id="main" ref={main} tabIndex={-1}><Outlet /></main>
      <Keys />
    </>
  );
}

/** Whose pages these are, and the way out; nothing where the server asks for no names. */
function Who() {
  const viewer = useViewer();
  if (!viewer || viewer.name === "everyone") return null;
  return <a href={at("/logout")} className="account" aria-label={`${viewer.name}, ${viewer.role.toLowerCase()}: log out`}>{viewer.name} · {viewer.role.toLowerCase()}{viewer.isDeidentified ? " · without identities" : ""}</a>;
}

function Find() {
  const navigate = useNavigate();
  const [text, setText] = useState("");
  return (
    <form
      className="find" role="search"
      onSubmit={(event) => {
        event.preventDefault();
        if (text.trim()) void navigate({ to: "/search", search: { q: text.trim() } });
      }}
    >
      <Icon name="search" />
      <input type="search" id="find" value={text} aria-label="Search everything" placeholder="Patient, UID, description, element…" onChange={(event) => { setText(event.target.value); }} />
      <kbd aria-hidden="true">/</kbd>
    </form>
  );
}

function ThemeChoice() {
  const [chosen, choose] = useState<Theme>(theme);
  const next: Record<Theme, Theme> = { system: "dark", dark: "light", light: "system" };
  return (
    <button
      type="button" className="btn plain icon-only" aria-label={`Theme: ${chosen}`} title={`Theme: ${chosen}`}
      onClick={() => { setTheme(next[chosen]); choose(next[chosen]); }}
    >
      <Icon name="sun" />
    </button>
  );
}
