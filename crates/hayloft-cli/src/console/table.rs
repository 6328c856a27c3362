use super::{Color, Console};
use crate::failure::Failure;

/// Rows that are held to find out how wide the columns are; later ones have to fit.
const HELD: usize = 200;
/// Columns further apart than this are hard to follow.
const WIDEST: usize = 60;
const BETWEEN: &str = "  ";

/// Columns under heads. The first rows are held back until it is known how wide they are.
#[derive(Debug)]
pub(crate) struct Table {
    heads: &'static [&'static str],
    rows: Vec<Vec<String>>,
    /// Of each column, once it is known.
    widths: Option<Vec<usize>>,
}

impl Table {
    pub(crate) fn new(heads: &'static [&'static str]) -> Self {
        Self { heads, rows: Vec::new(), widths: None }
    }

    /// One more row.
    pub(crate) fn row(&mut self, console: &mut Console, row: Vec<String>) -> Result<(), Failure> {
        self.rows.push(row);
        if self.widths.is_some() || self.rows.len() >= HELD { self.print(console) } else { Ok(()) }
    }

    /// Prints what is held back; a table without rows is nothing.
    pub(crate) fn finish(mut self, console: &mut Console) -> Result<(), Failure> {
        if self.rows.is_empty() { Ok(()) } else { self.print(console) }
    }

    fn print(&mut self, console: &mut Console) -> Result<(), Failure> {
        let known = self.widths.take();
        let widths = known.clone().unwrap_or_else(|| self.measured());
        if known.is_none() {
            let heads = self.heads.iter().map(|head| (*head).to_owned());
            console.colored(Color::Bold, line(heads, &widths))?;
        }
        for row in self.rows.drain(..) {
            console.line(line(row.into_iter(), &widths))?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    fn measured(&self) -> Vec<usize> {
        let width = |column: usize, head: &str| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
            widest.max(head.chars().count()).min(WIDEST)
        };
        self.heads.iter().enumerate().map(|(column, head)| width(column, head)).collect()
    }
}

fn line(cells: impl Iterator<Item = String>, widths: &[usize]) -> String {
    let padded: Vec<String> =
        cells.zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    padded.join(BETWEEN).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", "VERSION"]);
        table.rows = vec![vec!["ä".to_owned(), "1".to_owned()], vec!["abcdef".into(), "2".into()]];
        let widths = table.measured();
        assert_eq!(widths, [6, 7]);
        assert_eq!(line(table.rows.remove(0).into_iter(), &widths), "ä       1");
    }
}
