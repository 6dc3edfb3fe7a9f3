"""The schema is accepted by relay-compiler and GraphQL Code Generator, with real documents.

    python tests/conformance/schema_tools.py

In a temporary folder it compiles fragments that page with @connection and @refetchable (Relay), and
makes TypeScript of the schema and of the README's examples by the client preset, which the
TypeScript compiler then checks, with a page that uses it. Ends with an error, and what the tool
said, where one refuses; with status 77, and why, where node or npm is missing.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.conformance.node_packages import node_modules

ROOT = Path(__file__).resolve().parents[2]
RELAY = {"src": "src", "schema": "schema.graphql", "language": "typescript"}
CODEGEN = {
    "schema": "schema.graphql",
    "documents": ["documents/*.graphql", "page.ts"],
    "generates": {"./gql/": {"preset": "client"}},
}
PAGE = """
import { graphql, useFragment, type DocumentType } from "./gql";

export const SERIES = graphql(`
  fragment SeriesRow on Series { id uid description date echoTime nImages }
`);
export const PAGE = graphql(`
  query Page($after: String, $by: [GroupBy!]!) {
    series(first: 25, after: $after) {
      edges { node { id ...SeriesRow } }
      pageInfo { hasNextPage endCursor }
      groups(by: $by) { totalCount nodes { count keys { value } filter } }
    }
  }
`);

export function rows(page: DocumentType<typeof PAGE>): string[] {
  const edges = page.series?.edges ?? [];
  return edges.map((edge) => useFragment(SERIES, edge.node).description ?? "");
}
"""
COMPONENT = """
import { graphql } from "react-relay";

graphql`
  fragment SeriesPages_patient on Patient
  @argumentDefinitions(count: { type: "Int", defaultValue: 25 }, cursor: { type: "String" })
  @refetchable(queryName: "SeriesPagesQuery") {
    fullName
    series(first: $count, after: $cursor, filter: { modality: { eq: "MR" } })
    @connection(key: "SeriesPages_series") {
      edges { node { id uid description ...SeriesPages_images } }
    }
  }
`;

graphql`
  fragment SeriesPages_images on Series
  @argumentDefinitions(count: { type: "Int", defaultValue: 25 }, cursor: { type: "String" })
  @refetchable(queryName: "SeriesPagesImagesQuery") {
    images(first: $count, after: $cursor) @connection(key: "SeriesPages_images") {
      edges { node { id uid header { element(keyword: "EchoTime") { id value } } } }
      totalCount
    }
  }
`;

graphql`
  query SeriesPagesPatientQuery($uid: String!) {
    patientByUid(uid: $uid) { ...SeriesPages_patient }
  }
`;

graphql`
  subscription SeriesPagesSubscription($job: ID!) {
    importProgress(jobId: $job) { id status found }
  }
`;
"""


def main() -> None:
    """Compile, say so."""
    packages = node_modules()
    with tempfile.TemporaryDirectory(prefix="dicom-graph-schema-") as name:
        folder = Path(name)
        (folder / "package.json").write_text('{"private": true}')
        (folder / "node_modules").symlink_to(packages)
        (folder / "schema.graphql").write_text((ROOT / "schema.graphql").read_text())
        compile_for_relay(folder)
        generate_types(folder)


def compile_for_relay(folder: Path) -> None:
    """Relay's compiler takes the schema and the component's documents."""
    (folder / "src").mkdir()
    (folder / "src" / "SeriesPages.ts").write_text(COMPONENT)
    (folder / "relay.config.json").write_text(json.dumps(RELAY))
    run(folder, "npx", "relay-compiler")
    made = sorted(path.name for path in (folder / "src" / "__generated__").iterdir())
    print(f"relay-compiler made {len(made)} artifacts: {', '.join(made)}")


def generate_types(folder: Path) -> None:
    """The code generator takes the schema and the README's operations; TypeScript its output."""
    (folder / "documents").mkdir()
    operations = readme_operations()
    for number, operation in enumerate(operations):
        (folder / "documents" / f"{number}.graphql").write_text(operation)
    (folder / "codegen.json").write_text(json.dumps(CODEGEN))
    (folder / "page.ts").write_text(PAGE)
    run(folder, "npx", "graphql-codegen", "--config", "codegen.json")
    options = ("--noEmit", "--strict", "--skipLibCheck", "--module", "esnext", "--target", "es2022")
    run(folder, "npx", "tsc", *options, "--moduleResolution", "bundler", "page.ts")
    made = (folder / "gql").glob("*.ts")
    lines = sum(len(path.read_text().splitlines()) for path in made)
    print(f"graphql-codegen made {lines} lines of types of {len(operations)} operations")


def readme_operations() -> list[str]:
    """The README's GraphQL examples, each under a name of its own, as the generator wants."""
    found = re.findall(r"```graphql\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [named(example, f"Example{number}") for number, example in enumerate(found)]


def named(example: str, name: str) -> str:
    """The operation with the name in place of its own, or of none."""
    pattern = r"^(\s*)(?:(query|mutation|subscription)\s*\w*)?(\s*[({])"
    return re.sub(pattern, lambda m: f"{m[1]}{m[2] or 'query'} {name}{m[3]}", example, count=1)


def run(folder: Path, *command: str) -> None:
    """Run a command; its output is shown only where it fails."""
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout}\n{result.stderr}")


if __name__ == "__main__":
    main()
