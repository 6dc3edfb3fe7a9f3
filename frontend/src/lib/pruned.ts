import { visit, type DocumentNode, type SelectionNode } from "graphql";

/**
 * An operation as it is carried out: without the fields that its variables leave out, and without the
 * variables that are of no use then.
 */
export function pruned(document: DocumentNode, variables: Record<string, unknown>): { document: DocumentNode; variables: Record<string, unknown> } {
  const decided = new Set<string>();
  const isOut = (node: SelectionNode) => node.directives?.some((directive) => {
    const value = directive.arguments?.[0]?.value;
    if (directive.name.value !== "include" || value?.kind !== "Variable") return false;
    decided.add(value.name.value);
    return variables[value.name.value] !== true;
  }) ?? false;
  const selected = visit(document, {
    SelectionSet: (node) => ({ ...node, selections: node.selections.filter((each) => !isOut(each)) }),
    Directive: (node) => (node.name.value === "include" ? null : undefined),
  });
  const used = new Set<string>();
  visit(selected, { VariableDefinition: () => false, Variable: (node) => { used.add(node.name.value); } });
  return {
    document: visit(selected, { VariableDefinition: (node) => (used.has(node.variable.name.value) ? undefined : null) }),
    variables: Object.fromEntries(Object.entries(variables).filter(([name]) => used.has(name) && !decided.has(name))),
  };
}
