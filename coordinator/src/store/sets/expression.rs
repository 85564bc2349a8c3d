//! Whether a text that is put between parentheses stays between them: `1) from a, (b` would not.
//!
//! Only what opens and closes is looked at (sqlite.org/lang_expr.html, lang_comment.html); the rest is SQLite's to judge.

/// The first byte at which it does not.
pub(super) fn leaves_parentheses(sql: &str) -> Option<usize> {
    let bytes = sql.as_bytes();
    let mut open: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &sql.as_bytes()[at..];
        at = match byte {
            b'\'' | b'"' | b'`' => end(bytes, at + 1, &[byte]).unwrap_or(bytes.len() + 1),
            b'[' => end(bytes, at + 1, b"]").unwrap_or(bytes.len() + 1),
            b'-' if rest.starts_with(b"--") => end(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if rest.starts_with(b"/*") => end(bytes, at + 2, b"*/").unwrap_or(bytes.len() + 1),
            b'(' => {
                open.push(at);
                at + 1
            }
            b')' => {
                if open.pop().is_none() {
                    return Some(at);
                }
                at + 1
            }
            b';' => return Some(at),
            _ => at + 1,
        };
        if at > bytes.len() {
            // A quote or a comment that nothing ends.
            return Some(bytes.len() - rest.len());
        }
    }
    open.first().copied()
}

/// Behind the next `mark`. A doubled quote ends a text and begins the next one, which comes to the same here.
fn end(bytes: &[u8], from: usize, mark: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(mark.len()).position(|window| window == mark).map(|at| from + at + mark.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_inside_and_what_does_not() {
        for good in [
            "age / 1e9",
            "coalesce(a, (select max(b) from c))",
            "')' || \"(\" || `)` || [(] || 'it''s ('",
            "a -- )\n + b /* ( */",
            "a -- the end (",
            "a - -b / c",
            "'ä(' || x",
            "",
        ] {
            assert_eq!(leaves_parentheses(good), None, "{good}");
        }
        for (bad, at) in [
            ("1) from a, (b", 1),
            ("a)", 1),
            ("f(a", 1),
            ("f(a, (b)", 1),
            ("a; drop table b", 1),
            ("a || 'b", 5),
            ("a /* b", 2),
            ("[a", 0),
            ("'a' || 'b'')", 10),
        ] {
            assert_eq!(leaves_parentheses(bad), Some(at), "{bad}");
        }
    }
}
