//! Aligned columns for people. What comes from elsewhere cannot drive the terminal: control characters are escaped.

use std::fmt::Write;

/// Blanks between two columns.
const GAP: usize = 2;

/// How text is dressed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// With colours (ANSI X3.64 sequences).
    pub(super) colours: bool,
}

/// What a cell means; what has no colour is plain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Nothing in particular.
    Plain,
    /// A heading.
    Heading,
    /// All is well.
    Good,
    /// Somebody should look.
    Doubtful,
    /// It does not work.
    Bad,
}

impl Style {
    /// The text in the colour of its mood.
    pub(super) fn dress(self, text: &str, mood: Mood) -> String {
        let code = match mood {
            Mood::Plain => return text.to_owned(),
            Mood::Heading => "1",
            Mood::Good => "32",
            Mood::Doubtful => "33",
            Mood::Bad => "31",
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Rows of cells; each column is as wide as its widest cell so far.
pub(super) struct Table {
    style: Style,
    widths: Vec<usize>,
    rows: Vec<Vec<(String, Mood)>>,
}

impl Table {
    /// A table with these headings; none without.
    pub(super) fn new(style: Style, headings: &[&str]) -> Table {
        let mut table = Table { style, widths: Vec::new(), rows: Vec::new() };
        if !headings.is_empty() {
            table.push(headings.iter().map(|heading| ((*heading).to_owned(), Mood::Heading)));
        }
        table
    }

    /// Adds a row.
    pub(super) fn push(&mut self, cells: impl IntoIterator<Item = (String, Mood)>) {
        let cells: Vec<_> = cells.into_iter().map(|(text, mood)| (printable(&text), mood)).collect();
        for (column, (text, _)) in cells.iter().enumerate() {
            let width = text.chars().count();
            match self.widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => self.widths.push(width),
            }
        }
        self.rows.push(cells);
    }

    /// Adds a row without colours.
    pub(super) fn plain<const N: usize>(&mut self, cells: [String; N]) {
        self.push(cells.map(|text| (text, Mood::Plain)));
    }

    /// The rows as text, and forgets them; the widths stay.
    pub(super) fn take(&mut self) -> String {
        let mut text = String::new();
        for row in self.rows.drain(..) {
            let last = row.iter().rposition(|(cell, _)| !cell.is_empty()).unwrap_or(0);
            for (column, (cell, mood)) in row.iter().take(last + 1).enumerate() {
                text.push_str(&self.style.dress(cell, *mood));
                if column < last {
                    let width = self.widths.get(column).copied().unwrap_or_default();
                    // Writing to a string does not fail.
                    let _ = write!(text, "{:1$}", "", width.saturating_sub(cell.chars().count()) + GAP);
                }
            }
            text.push('\n');
        }
        text
    }
}

/// The text without characters that a terminal obeys.
pub(super) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_text() {
        let mut table = Table::new(Style { colours: false }, &["a", "long heading", "c"]);
        table.plain(["longer".into(), "x".into(), String::new()]);
        table.plain(["ü".into(), "y".into(), "z".into()]);
        assert_eq!(table.take(), "a       long heading  c\nlonger  x\nü       y             z\n");
        table.plain(["1".into(), "2".into(), "3".into()]);
        assert_eq!(table.take(), "1       2             3\n", "the widths stay");
    }

    #[test]
    fn colours_take_no_room_and_come_only_if_wanted() {
        for (colours, expected) in [(true, "\x1b[31mno\x1b[0m  x\n"), (false, "no  x\n")] {
            let mut table = Table::new(Style { colours }, &[]);
            table.push([("no".to_owned(), Mood::Bad), ("x".to_owned(), Mood::Plain)]);
            assert_eq!(table.take(), expected);
        }
    }

    #[test]
    fn what_others_named_does_not_drive_the_terminal() {
        let mut table = Table::new(Style { colours: true }, &[]);
        table.plain(["\x1b[2J\n".to_owned()]);
        assert_eq!(table.take(), "\\u{1b}[2J\\n\n");
    }
}
