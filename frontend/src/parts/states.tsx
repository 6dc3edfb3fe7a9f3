import { Component, type ReactNode } from "react";
import type { CombinedError } from "urql";
import { explain } from "../lib/client";
import { Icon } from "./icons";

/** What happened, what to do, and the API's code, where it happened. */
export function Failure({ error, again }: { error: CombinedError; again?: () => void }) {
  const { message, code } = explain(error);
  return (
    <div className="note fail" role="alert">
      <Icon name="fail" />
      <div>
        <p>{message}</p>
        {code && <p className="quiet mono">{code}</p>}
        {again && <div className="do"><button type="button" className="btn small" onClick={again}>Ask again</button></div>}
      </div>
    </div>
  );
}

export function Loading({ what }: { what: string }) {
  return <p className="loading quiet" role="status">Loading {what}…</p>;
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return <div className="empty"><h2>{title}</h2>{children}</div>;
}

/** Shows what a page threw instead of a blank screen. */
export class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state = { error: null as Error | null };
  static getDerivedStateFromError(error: Error) { return { error }; }
  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <div className="page"><div className="note fail" role="alert"><Icon name="fail" /><div>
        <p>This page failed: {this.state.error.message}</p>
        <div className="do"><button type="button" className="btn small" onClick={() => { location.reload(); }}>Load it again</button></div>
      </div></div></div>
    );
  }
}
