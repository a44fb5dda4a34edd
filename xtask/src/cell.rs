//! A cell of a table in Markdown.

/// Text that does not end its cell.
pub fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
