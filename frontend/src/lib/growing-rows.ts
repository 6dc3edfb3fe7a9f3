import { createRow, type Row as TableRow, type RowModel, type Table } from "@tanstack/react-table";
import type { Row } from "./use-rows";

/**
 * A core row model of TanStack Table for a list that grows: the rows that were there keep their
 * objects, so that thousands need not be made, nor drawn, again for a hundred more.
 */
export function growingRows(): (table: Table<Row>) => () => RowModel<Row> {
  return (table) => {
    let data: Row[] | undefined;
    let model: RowModel<Row> = { rows: [], flatRows: [], rowsById: {} };
    return () => {
      const given = table.options.data;
      if (given === data) return model;
      const grows = data !== undefined && data.length <= given.length && data.every((row, i) => row === given[i]);
      const rows: TableRow<Row>[] = grows ? [...model.rows] : [];
      const rowsById: Record<string, TableRow<Row>> = grows ? model.rowsById : {};
      for (let i = rows.length; i < given.length; i += 1) {
        const original = given[i];
        if (!original) continue;
        const row = createRow(table, original.id, original, i, 0);
        rows.push(row);
        rowsById[row.id] = row;
      }
      data = given;
      model = { rows, flatRows: rows, rowsById };
      return model;
    };
  };
}
