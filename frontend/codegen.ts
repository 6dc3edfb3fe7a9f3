import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "../schema.graphql",
  documents: ["src/**/*.{ts,tsx}", "!src/gql/**"],
  generates: {
    "src/gql/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        scalars: {
          BigInt: "string",
          Date: "string",
          DateTime: "string",
          LocalDateTime: "string",
          Time: "string",
          JSON: "unknown",
          Upload: "unknown",
        },
      },
    },
  },
};
export default config;
