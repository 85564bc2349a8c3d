//! A statement of SQL without what may be data: literals become `?`, comments go.
//!
//! Dialects differ in what a backslash and double quotes mean. Where both readings are possible what is hidden is more: a
//! backslash in a literal hides the rest, double quotes hide what is no plain name in a place of one.

/// Placeholders, names and keywords stay; spaces become one.
pub(super) fn without_data(statement: &str) -> String {
    let mut scrubber = Scrubber { rest: statement, out: String::with_capacity(statement.len()) };
    while !scrubber.rest.is_empty() {
        scrubber.next();
    }
    scrubber.out.truncate(scrubber.out.trim_end().len());
    scrubber.out
}

struct Scrubber<'a> {
    rest: &'a str,
    out: String,
}

impl<'a> Scrubber<'a> {
    fn next(&mut self) {
        let Some(first) = self.rest.chars().next() else { return };
        if first.is_whitespace() {
            self.take(|c| c.is_whitespace());
            self.space();
        } else if self.rest.starts_with("--") || first == '#' && !self.rest.starts_with("#>") {
            self.take(|c| c != '\n');
            self.space();
        } else if self.rest.starts_with("/*") {
            let end = self.rest.find("*/").map_or(self.rest.len(), |at| at + 2);
            self.rest = &self.rest[end..];
            self.space();
        } else if first == '\'' {
            self.literal('\'');
        } else if first == '"' || first == '`' {
            self.name(first);
        } else if first == '$' {
            self.dollar();
        } else if first.is_ascii_digit()
            || first == '.' && self.rest[1..].starts_with(|c: char| c.is_ascii_digit())
        {
            self.take(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
            self.out.push('?');
        } else if is_word(first) {
            let word = self.take(is_word);
            self.out.push_str(word);
        } else {
            self.out.push(first);
            self.rest = &self.rest[first.len_utf8()..];
        }
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn space(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with(' ') {
            self.out.push(' ');
        }
    }

    fn literal(&mut self, quote: char) {
        self.out.push('?');
        self.quoted(quote);
    }

    /// What stands in quotes, without them; doubled ones belong to it. The quote at the end may be missing.
    fn quoted(&mut self, quote: char) -> &'a str {
        let inner = &self.rest[1..];
        let mut end = 0;
        loop {
            let Some(at) = inner[end..].find(quote) else {
                self.rest = "";
                return inner;
            };
            end += at;
            if !inner[end + 1..].starts_with(quote) {
                break;
            }
            end += 2;
        }
        let text = &inner[..end];
        // Whether the backslash hides the quote that was taken for the last one depends on the dialect.
        self.rest = if text.contains('\\') { "" } else { &inner[end + 1..] };
        text
    }

    /// `"users"` is a name in most dialects, and a text in MySQL.
    fn name(&mut self, quote: char) {
        let before = self.out.trim_end();
        let last = before.rsplit(|c| !is_word(c)).next().unwrap_or_default();
        let is_before = before.ends_with('.')
            || ["from", "join", "into", "update", "table", "index", "on"]
                .iter()
                .any(|word| last.eq_ignore_ascii_case(word));
        let text = self.quoted(quote);
        let is_name = quote == '`' || is_before || self.rest.starts_with('.');
        if is_name && !text.is_empty() && text.chars().all(|c| is_word(c) || c == '-') {
            self.out.push(quote);
            self.out.push_str(text);
            self.out.push(quote);
        } else {
            self.out.push('?');
        }
    }

    /// `$1` is a placeholder, `$tag$ ... $tag$` a text.
    fn dollar(&mut self) {
        let tag = self.rest[1..].find(|c| !is_word(c)).map_or(self.rest.len(), |at| at + 1);
        if self.rest[tag..].starts_with('$') && !self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
            let (mark, behind) = self.rest.split_at(tag + 1);
            self.rest = behind.find(mark).map_or("", |end| &behind[end + mark.len()..]);
            self.out.push('?');
        } else {
            self.out.push_str(&self.rest[..tag]);
            self.rest = &self.rest[tag..];
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn literals_and_comments_go() {
        for (statement, without) in [
            ("select * from users where id = 42", "select * from users where id = ?"),
            ("select a1, b_2 from t where x = $1 and y = ?", "select a1, b_2 from t where x = $1 and y = ?"),
            ("insert into t values ('it''s', 1.5e10, 0xff, -7)", "insert into t values (?, ?, ?, -?)"),
            ("select 1 -- user 7\n from t /* 'x' */ where a='b'", "select ? from t where a=?"),
            (
                r#"select "t"."id" from "t" where "t"."name" = "secret""#,
                r#"select "t"."id" from "t" where "t"."name" = ?"#,
            ),
            ("select `id` from `t`", "select `id` from `t`"),
            (r"select 'a\' or b = 'c", "select ?"),
            ("select $tag$ secret $tag$, $$x$$, $2", "select ?, ?, $2"),
            ("select 'never ends", "select ?"),
            ("  select\n\t1 ", "select ?"),
            ("set x = E'a' # secret", "set x = E?"),
            ("ä = 'ö'", "ä = ?"),
            ("", ""),
        ] {
            assert_eq!(without_data(statement), without, "{statement}");
        }
    }

    proptest! {
        #[test]
        fn nothing_of_a_literal_is_left(
            before in "[a-z ,=(]{0,20}", text in "[A-Z '\"\\\\$]{0,20}", after in "[a-z ,)]{0,20}",
        ) {
            let statement = format!("{before}'{}'{after}", text.replace('\'', "''"));
            let without = without_data(&statement);
            prop_assert!(!without.contains(|c: char| c.is_ascii_uppercase()), "{without}");
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,60}") {
            without_data(&text);
        }
    }
}
