//! Text from elsewhere, as a part of one line of a log or of a terminal.

use std::fmt::{self, Display, Formatter};

/// Writes `text` with what would end its line, move a terminal's cursor, colour it or turn its reading direction written out.
/// Nothing else is escaped, for whoever writes JSON does so again.
pub fn one_line(text: &str) -> impl Display {
    OneLine(text)
}

struct OneLine<'a>(&'a str);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut written = 0;
        for (at, harmful) in self.0.match_indices(|c| !is_harmless(c)) {
            f.write_str(&self.0[written..at])?;
            write!(f, "{}", harmful.escape_default())?;
            written = at + harmful.len();
        }
        f.write_str(&self.0[written..])
    }
}

fn is_harmless(c: char) -> bool {
    // Unicode Standard Annex #9, section 2; the separators of lines and of paragraphs.
    let turns = matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let ends_line = matches!(c, '\u{2028}' | '\u{2029}');
    (!c.is_control() || c == '\t') && !turns && !ends_line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_does_harm_is_escaped() {
        let text = "a \"b\" \\ c\td é\r\n\u{1b}[31m\u{202e}\u{2028}";
        let escaped = "a \"b\" \\ c\td é\\r\\n\\u{1b}[31m\\u{202e}\\u{2028}";
        assert_eq!(one_line(text).to_string(), escaped);
    }
}
