import { createRootRoute, createRoute, createRouter, lazyRouteComponent, RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Provider } from "urql";
import { BASE } from "./lib/base";
import { client } from "./lib/client";
import { parseSearch, stringifySearch, type TableSearch } from "./lib/address";
import { applyTheme } from "./lib/theme";
import { Shell } from "./parts/shell";
import { Boundary, Empty } from "./parts/states";
import "./pages.css";
import "./more.css";

applyTheme();

const root = createRootRoute({
  component: () => <Boundary><Shell /></Boundary>,
  notFoundComponent: () => <div className="page"><Empty title="There is no such page"><p>Its address may have been cut. The pages are in the bar above.</p></Empty></div>,
});
const validateSearch = (search: Record<string, unknown>): TableSearch => search;
const table = () => import("./pages/table");
const routes = [
  createRoute({ getParentRoute: () => root, path: "/", component: lazyRouteComponent(() => import("./pages/home"), "Home") }),
  createRoute({ getParentRoute: () => root, path: "/patients", validateSearch, component: lazyRouteComponent(table, "Patients") }),
  createRoute({ getParentRoute: () => root, path: "/studies", validateSearch, component: lazyRouteComponent(table, "Studies") }),
  createRoute({ getParentRoute: () => root, path: "/series", validateSearch, component: lazyRouteComponent(table, "SeriesTable") }),
  createRoute({ getParentRoute: () => root, path: "/images", validateSearch, component: lazyRouteComponent(table, "Images") }),
  createRoute({ getParentRoute: () => root, path: "/patients/$uid", validateSearch, component: lazyRouteComponent(() => import("./pages/patient"), "PatientPage") }),
  createRoute({ getParentRoute: () => root, path: "/studies/$uid", validateSearch, component: lazyRouteComponent(() => import("./pages/study"), "StudyPage") }),
  createRoute({ getParentRoute: () => root, path: "/series/$uid", validateSearch, component: lazyRouteComponent(() => import("./pages/series"), "SeriesPage") }),
  createRoute({ getParentRoute: () => root, path: "/images/$uid", validateSearch, component: lazyRouteComponent(() => import("./pages/header"), "HeaderPage") }),
  createRoute({ getParentRoute: () => root, path: "/headers/$id", validateSearch, component: lazyRouteComponent(() => import("./pages/header"), "HeaderById") }),
  createRoute({ getParentRoute: () => root, path: "/elements", validateSearch, component: lazyRouteComponent(() => import("./pages/elements"), "Elements") }),
  createRoute({ getParentRoute: () => root, path: "/elements/$id", validateSearch, component: lazyRouteComponent(() => import("./pages/elements"), "ElementPage") }),
  createRoute({ getParentRoute: () => root, path: "/search", validateSearch, component: lazyRouteComponent(() => import("./pages/search"), "Search") }),
  createRoute({ getParentRoute: () => root, path: "/compare", validateSearch, component: lazyRouteComponent(() => import("./pages/compare"), "Compare") }),
  createRoute({ getParentRoute: () => root, path: "/explore", validateSearch, component: lazyRouteComponent(() => import("./pages/explore"), "Explore") }),
  createRoute({ getParentRoute: () => root, path: "/imports", validateSearch, component: lazyRouteComponent(() => import("./pages/imports"), "Imports") }),
  createRoute({ getParentRoute: () => root, path: "/imports/$id", validateSearch, component: lazyRouteComponent(() => import("./pages/imports"), "Imports") }),
  createRoute({ getParentRoute: () => root, path: "/quality", validateSearch, component: lazyRouteComponent(() => import("./pages/quality"), "Quality") }),
];
const router = createRouter({ routeTree: root.addChildren(routes), basepath: BASE || "/", parseSearch, stringifySearch, defaultPreload: false, scrollRestoration: true });

const place = document.getElementById("app");
if (place) {
  createRoot(place).render(
    <StrictMode><Provider value={client}><RouterProvider router={router} /></Provider></StrictMode>,
  );
}
