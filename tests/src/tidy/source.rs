//! Rust text as its names: without comments, strings and layout.

/// One token that matters to the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    /// `::`
    PathSeparator,
    Open,
    Close,
    Other(char),
}

/// A path (`std::fs::read`) or a single name, and the line where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePath {
    pub names: Vec<String>,
    pub line: usize,
}

impl NamePath {
    pub fn starts_with(&self, prefix: &[&str]) -> bool {
        self.names.len() >= prefix.len() && self.names.iter().zip(prefix).all(|(a, b)| a == b)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name)
    }
}

/// All paths of a text; `use a::{b, c::d}` gives `a::b` and `a::c::d`.
pub fn paths(text: &str) -> Vec<NamePath> {
    let tokens = tokens(&code(text));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = path(&tokens, at, &[], &mut found);
    }
    found
}

/// Reads one path, or passes over one token. Where it ends.
fn path(tokens: &[(Token, usize)], from: usize, prefix: &[String], found: &mut Vec<NamePath>) -> usize {
    let mut names = prefix.to_vec();
    let mut at = from;
    // `::std::fs`
    if let Some((Token::PathSeparator, _)) = tokens.get(at) {
        at += 1;
    }
    while let Some((Token::Name(name), line)) = tokens.get(at) {
        names.push(name.clone());
        at += 1;
        if !matches!(tokens.get(at), Some((Token::PathSeparator, _))) {
            found.push(NamePath { names, line: *line });
            return at;
        }
        at += 1;
        if let Some((Token::Open, _)) = tokens.get(at) {
            at += 1;
            while at < tokens.len() && tokens[at].0 != Token::Close {
                at = path(tokens, at, &names, found);
            }
            return at + 1;
        }
        // `a::*`, `a::<T>`
        if !matches!(tokens.get(at), Some((Token::Name(_), _))) {
            found.push(NamePath { names, line: *line });
            return at;
        }
    }
    at.max(from + 1)
}

fn tokens(code: &str) -> Vec<(Token, usize)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut characters = code.chars().peekable();
    while let Some(c) = characters.next() {
        let token = match c {
            '\n' => {
                line += 1;
                continue;
            }
            c if c.is_whitespace() => continue,
            c if c.is_alphabetic() || c == '_' => {
                let mut name = String::from(c);
                while let Some(c) = characters.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                Token::Name(name)
            }
            ':' if characters.next_if_eq(&':').is_some() => Token::PathSeparator,
            '{' => Token::Open,
            '}' => Token::Close,
            c => Token::Other(c),
        };
        tokens.push((token, line));
    }
    tokens
}

/// The text with comments, strings and characters blanked, line by line as it was.
fn code(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match (bytes[at], bytes.get(at + 1)) {
            ('/', Some('/')) => end_of(&bytes, at, |i| bytes[i] == '\n'),
            ('/', Some('*')) => end_of_block_comment(&bytes, at),
            ('"', _) => end_of_string(&bytes, at),
            ('r', Some('"' | '#')) if !in_name(&bytes, at) => end_of_raw_string(&bytes, at).unwrap_or(at),
            ('b', Some('r')) if !in_name(&bytes, at) => end_of_raw_string(&bytes, at + 1).unwrap_or(at),
            ('\'', _) => end_of_character(&bytes, at).unwrap_or(at),
            _ => at,
        };
        if end == at {
            code.push(bytes[at]);
            at += 1;
            continue;
        }
        code.push(' ');
        code.extend(bytes[at..end].iter().filter(|c| **c == '\n'));
        at = end;
    }
    code
}

fn in_name(text: &[char], at: usize) -> bool {
    at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_')
}

fn end_of(text: &[char], from: usize, is_end: impl Fn(usize) -> bool) -> usize {
    (from..text.len()).find(|&i| is_end(i)).unwrap_or(text.len())
}

fn end_of_block_comment(text: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) if depth == 1 => return at + 2,
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn end_of_string(text: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// `r#"..."#`; `None` for `r#name`.
fn end_of_raw_string(text: &[char], from: usize) -> Option<usize> {
    let hashes = text[from + 1..].iter().take_while(|c| **c == '#').count();
    let open = from + 1 + hashes;
    if text.get(open) != Some(&'"') {
        return None;
    }
    let closes = |i: usize| {
        text[i] == '"' && text.len() > i + hashes && text[i + 1..=i + hashes].iter().all(|c| *c == '#')
    };
    Some((end_of(text, open + 1, closes) + 1 + hashes).min(text.len()))
}

/// `'x'` and `'\n'`; `None` for a lifetime.
fn end_of_character(text: &[char], from: usize) -> Option<usize> {
    if text.get(from + 1) == Some(&'\\') {
        return Some((end_of(text, from + 3, |i| text[i] == '\'') + 1).min(text.len()));
    }
    (text.get(from + 2) == Some(&'\'')).then_some(from + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        paths(text).iter().map(|p| p.names.join("::")).collect()
    }

    #[test]
    fn imports_in_groups_are_spelt_out() {
        assert_eq!(
            all("use std::{fs, io::{self, Read}, net::*};"),
            ["use", "std::fs", "std::io::self", "std::io::Read", "std::net"]
        );
        assert_eq!(all("let x = ::std::fs::read::<u8>(y);"), ["let", "x", "std::fs::read", "u8", "y"]);
        assert_eq!(all("fn f() { a::B { c } }"), ["fn", "f", "a::B", "c"]);
    }

    #[test]
    fn comments_strings_and_characters_have_no_names() {
        let text = r####"// one
            /* two /* three */ four */ "five \" six" r#"seven " eight"# b"nine" br"ten" 'e' '\'' '\u{41}' b'x' end<'a>"####;
        assert_eq!(all(text), ["b", "b", "end", "a"]);
        assert_eq!(all("r#type for_r\"x\""), ["r", "type", "for_r"]);
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let found = paths("/* a\n b */ \"c\n\" one\n::two");
        assert_eq!(found[0].line, 4);
    }

    #[test]
    fn unfinished_text_is_read_to_its_end() {
        for text in ["\"abc", "/* abc", "r#\"abc", "use a::{b", "a::", "'\\", "'"] {
            let _ = all(text);
        }
    }
}
