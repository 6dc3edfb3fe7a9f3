"""The schema is accepted by relay-compiler and GraphQL Code Generator, with real documents.

    python tests/conformance/schema_tools.py

Not part of the suite: it needs node and npm's registry. In a temporary folder it installs both
tools, compiles fragments that page with @connection and @refetchable (Relay), and makes TypeScript
types of the schema and of the README's examples, which the TypeScript compiler then checks.
Ends with an error, and what the tool said, where one refuses.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "graphql@16",
    "relay-compiler@20",
    "@graphql-codegen/cli@5",
    "@graphql-codegen/typescript@4",
    "@graphql-codegen/typescript-operations@4",
    "typescript@5",
)
RELAY = {"src": "src", "schema": "schema.graphql", "language": "typescript"}
CODEGEN = {
    "schema": "schema.graphql",
    "documents": "documents/*.graphql",
    "generates": {"types.ts": {"plugins": ["typescript", "typescript-operations"]}},
}
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
    """Install, compile, say so."""
    with tempfile.TemporaryDirectory(prefix="dicom-graph-schema-") as name:
        folder = Path(name)
        (folder / "package.json").write_text('{"private": true}')
        run(folder, "npm", "install", "--no-audit", "--no-fund", "--silent", *PACKAGES)
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
    run(folder, "npx", "graphql-codegen", "--config", "codegen.json")
    run(folder, "npx", "tsc", "--noEmit", "--strict", "--skipLibCheck", "types.ts")
    lines = len((folder / "types.ts").read_text().splitlines())
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
