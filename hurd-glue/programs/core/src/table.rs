//! Columns: each as wide as its widest cell, numbers to the right.

use alloc::string::String;
use alloc::vec::Vec;

/// Where the text of a column stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells under a heading.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(columns: &[(&'static str, Align)]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; cells that are missing are empty, those beyond the headings are dropped.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut row: Vec<String> = cells.into_iter().take(self.columns.len()).collect();
        row.resize(self.columns.len(), String::new());
        self.rows.push(row);
    }

    /// The text, heading first; no row ends in blanks.
    pub fn text(&self) -> String {
        let heading: Vec<String> = self.columns.iter().map(|(name, _)| String::from(*name)).collect();
        let rows = || core::iter::once(&heading).chain(&self.rows);
        let width = |column: usize| rows().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for row in rows() {
            let start = text.len();
            for (column, cell) in row.iter().enumerate() {
                let blanks = widths[column] - cell.chars().count();
                if column > 0 {
                    text.push_str("  ");
                }
                if self.columns[column].1 == Align::Right {
                    text.extend(core::iter::repeat_n(' ', blanks));
                }
                text.push_str(cell);
                if self.columns[column].1 == Align::Left {
                    text.extend(core::iter::repeat_n(' ', blanks));
                }
            }
            let end = start + text[start..].trim_end().len();
            text.truncate(end);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&[("NAME", Align::Left), ("FRAMES", Align::Right), ("", Align::Left)]);
        table.row(["müsli".into(), "7".into(), "x".into()]);
        table.row(["b".into(), "1234567".into()]);
        assert_eq!(table.text(), "NAME    FRAMES\nmüsli        7  x\nb      1234567\n");
        assert_eq!(Table::new(&[]).text(), "\n");
    }
}
