//! The words of an expression.
//!
//! As in Go, with two additions: an import path may stand before a dot (`net/http.DefaultClient`), since division does not
//! exist here; and results without a name are called `~r0`, `~r1` as in debug information.

use super::limits::EXPRESSION_BYTES_MAX;
use super::problem::{Problem, Span};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// An identifier.
    Word(String),
    /// An import path with a slash; in quotes it is a [`Token::Text`].
    Path(String),
    Integer(i128),
    Text(String),
    /// One of `.*()[]{}:,`
    Mark(char),
    End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) token: Token,
    pub(super) span: Span,
}

/// Ends with [`Token::End`].
pub(super) fn words(text: &str) -> Result<Vec<Word>, Problem> {
    if text.len() > EXPRESSION_BYTES_MAX {
        let message =
            format!("an expression has at most {EXPRESSION_BYTES_MAX} bytes, this one has {}", text.len());
        return Err(Problem::new(Span::new(0, text.len()), message));
    }
    let mut lexer = Lexer { text, at: 0 };
    let mut words = Vec::new();
    loop {
        lexer.skip_space();
        let start = lexer.at;
        let token = lexer.next()?;
        let is_end = token == Token::End;
        words.push(Word { token, span: Span::new(start, lexer.at) });
        if is_end {
            return Ok(words);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

/// Go's letters (Unicode category L) and the underscore.
fn begins_word(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn continues_word(c: char) -> bool {
    begins_word(c) || c.is_numeric()
}

/// What import paths are made of besides letters and digits (golang.org/ref/mod#go-mod-file-ident).
fn continues_path(c: char) -> bool {
    continues_word(c) || matches!(c, '-' | '~' | '.' | '/' | '+')
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The longest run of such characters from here.
    fn run(&self, continues: impl Fn(char) -> bool) -> &str {
        let rest = self.rest();
        &rest[..rest.find(|c| !continues(c)).unwrap_or(rest.len())]
    }

    fn skip_space(&mut self) {
        self.at += self.run(char::is_whitespace).len();
    }

    fn problem(&self, length: usize, message: impl Into<String>) -> Problem {
        Problem::new(Span::new(self.at, self.at + length), message)
    }

    fn next(&mut self) -> Result<Token, Problem> {
        let Some(c) = self.peek() else { return Ok(Token::End) };
        match c {
            '.' | '*' | '(' | ')' | '[' | ']' | '{' | '}' | ':' | ',' => {
                self.at += 1;
                Ok(Token::Mark(c))
            }
            '"' | '`' => self.quoted(c),
            '\'' => self.rune(),
            '~' => self.result(),
            c if c.is_ascii_digit() || c == '-' => self.integer(),
            c if begins_word(c) => Ok(self.word()),
            '&' => Err(self.problem(1, "there is no & here; addr(x) gives the address of x")),
            '+' | '/' | '%' | '=' | '!' | '<' | '>' | '|' | '^' => {
                let message = format!(
                    "there is no operator {c} here: an expression only reads; compute with the captured columns in SQL"
                );
                Err(self.problem(1, message))
            }
            c => Err(self.problem(c.len_utf8(), format!("{c:?} has no meaning here"))),
        }
    }

    fn word(&mut self) -> Token {
        let run = self.run(continues_path);
        if let Some(slash) = run.rfind('/') {
            let element = &run[slash + 1..];
            let length = slash + 1 + element.find('.').unwrap_or(element.len());
            let path = run[..length].to_owned();
            self.at += length;
            return Token::Path(path);
        }
        let word = self.run(continues_word).to_owned();
        self.at += word.len();
        Token::Word(word)
    }

    /// `~r0`, `~R0`: cmd/compile/internal/types (Go 1.21 to 1.27) names results that have no name so.
    fn result(&mut self) -> Result<Token, Problem> {
        let rest = self.rest();
        let digits = rest
            .strip_prefix("~r")
            .or_else(|| rest.strip_prefix("~R"))
            .map_or(0, |number| number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len()));
        if digits == 0 {
            return Err(self.problem(1, "results without a name are called ~r0, ~r1"));
        }
        let word = rest[..2 + digits].to_owned();
        self.at += word.len();
        Ok(Token::Word(word))
    }

    fn integer(&mut self) -> Result<Token, Problem> {
        let run = self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let length = run.len();
        let (is_negative, digits) = match run.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, run),
        };
        let plain = digits.replace('_', "").to_ascii_lowercase();
        let (digits, radix) = match plain.get(..2) {
            Some("0x") => (&plain[2..], 16),
            Some("0o") => (&plain[2..], 8),
            Some("0b") => (&plain[2..], 2),
            _ => (&plain[..], 10),
        };
        // Go reads 017 as octal, most people do not.
        let is_doubtful = radix == 10 && digits.len() > 1 && digits.starts_with('0');
        let is_number = !is_doubtful && digits.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        let magnitude = if is_number { u64::from_str_radix(digits, radix).ok() } else { None };
        let value = magnitude.map(|m| if is_negative { -i128::from(m) } else { i128::from(m) });
        match value.filter(|v| *v >= i128::from(i64::MIN)) {
            Some(value) => {
                self.at += length;
                Ok(Token::Integer(value))
            }
            None => Err(self.problem(length.max(1), "not a whole number of 64 bits")),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token, Problem> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                Some(c) if c == quote => {
                    self.at += 1;
                    return Ok(Token::Text(text));
                }
                Some('\\') if quote == '"' => text.push(self.escape()?),
                Some(c) if c != '\n' || quote == '`' => {
                    self.at += c.len_utf8();
                    text.push(c);
                }
                _ => {
                    let span = Span::new(start, self.at);
                    return Err(Problem::new(span, format!("the text has no closing {quote}")));
                }
            }
        }
    }

    fn rune(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        self.at += 1;
        let c = match self.peek() {
            Some('\\') => Some(self.escape()?),
            Some(c) if c != '\'' => {
                self.at += c.len_utf8();
                Some(c)
            }
            _ => None,
        };
        match (c, self.peek()) {
            (Some(c), Some('\'')) => {
                self.at += 1;
                Ok(Token::Integer(i128::from(u32::from(c))))
            }
            _ => {
                let span = Span::new(start, self.at);
                Err(Problem::new(span, "single quotes hold one character; text stands in double quotes"))
            }
        }
    }

    /// As Go has them; bytes that are no text (`\xff`) are not.
    fn escape(&mut self) -> Result<char, Problem> {
        let rest = self.rest();
        let hexadecimal = |digits: usize| {
            let number = rest.get(2..2 + digits).filter(|d| d.chars().all(|c| c.is_ascii_hexdigit()))?;
            Some((u32::from_str_radix(number, 16).ok()?, 2 + digits))
        };
        let found = match rest.chars().nth(1) {
            Some('a') => Some((0x07, 2)),
            Some('b') => Some((0x08, 2)),
            Some('f') => Some((0x0c, 2)),
            Some('n') => Some((0x0a, 2)),
            Some('r') => Some((0x0d, 2)),
            Some('t') => Some((0x09, 2)),
            Some('v') => Some((0x0b, 2)),
            Some(c @ ('\\' | '\'' | '"')) => Some((u32::from(c), 2)),
            Some('x') => hexadecimal(2).filter(|(code, _)| *code < 0x80),
            Some('u') => hexadecimal(4),
            Some('U') => hexadecimal(8),
            _ => None,
        };
        let decoded = found.and_then(|(code, length)| Some((char::from_u32(code)?, length)));
        match decoded {
            Some((c, length)) => {
                self.at += length;
                Ok(c)
            }
            None => Err(self.problem(1, "not an escape of Go's, or not one of text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        words(text).unwrap().into_iter().map(|w| w.token).collect()
    }

    #[test]
    fn paths_are_told_from_words() {
        use Token::{End, Mark, Path, Word};
        let word = |text: &str| Word(text.into());
        assert_eq!(tokens("req.ID"), [word("req"), Mark('.'), word("ID"), End]);
        assert_eq!(
            tokens("net/http.DefaultClient.Timeout"),
            [Path("net/http".into()), Mark('.'), word("DefaultClient"), Mark('.'), word("Timeout"), End]
        );
        assert_eq!(tokens("a.b/c-d/v2.X")[..2], [Path("a.b/c-d/v2".into()), Mark('.')]);
        assert_eq!(tokens("größe.x")[0], word("größe"));
        assert_eq!(tokens("~r0")[0], word("~r0"));
    }

    #[test]
    fn constants() {
        use Token::{Integer, Text};
        for (text, token) in [
            ("0", Integer(0)),
            ("-1", Integer(-1)),
            ("0x_ff", Integer(255)),
            ("1_000", Integer(1000)),
            ("18446744073709551615", Integer(u64::MAX.into())),
            ("'a'", Integer(97)),
            (r"'\n'", Integer(10)),
            (r#""a\"b\u00e9""#, Text("a\"bé".into())),
            (r"`a\b`", Text(r"a\b".into())),
        ] {
            assert_eq!(tokens(text)[0], token, "{text}");
        }
        for text in [
            "007",
            "-",
            "1a",
            "99999999999999999999",
            "-9223372036854775809",
            "\"a",
            "'ab'",
            r#""\xff""#,
            "''",
        ] {
            assert!(words(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_missing_here_is_said() {
        for (text, message) in
            [("a + b", "SQL"), ("&x", "addr(x)"), ("a == 1", "SQL"), ("a ; b", "no meaning")]
        {
            let problem = words(text).unwrap_err();
            assert!(problem.message.contains(message), "{text}: {problem}");
        }
        assert_eq!(words("a + b").unwrap_err().span, Span::new(2, 3));
        assert!(words(&"a".repeat(2000)).is_err());
    }
}
