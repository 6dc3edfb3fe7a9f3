import js from "@eslint/js";
import hooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["src/gql/**", "src/generated/**", "node_modules/**"] },
  js.configs.recommended,
  ...tseslint.configs.strict,
  { plugins: { "react-hooks": hooks }, rules: { "react-hooks/rules-of-hooks": "error" } },
  { files: ["scripts/**"], languageOptions: { globals: { process: "readonly", console: "readonly" } } },
);
