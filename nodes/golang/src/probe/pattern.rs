//! Patterns over names of functions, types, fields and programs.
//!
//! A pattern is `/a regular expression/`, which may fit anywhere in the name, or the whole name, in which:
//!
//! * `*` is any text within one part of a name: up to the next `/` or `.`; in names of programs any text.
//! * `**` is any text.
//! * `?` is one character of a part; in names of programs any character.
//! * `{a,b}` is one of several.
//! * `(*` is Go's own: `shop/orders.(*Service).Place` means this one method; any pointer's method is `(**).Place`. Within
//!   `[` and `]`, where type arguments stand, everything but `**` is as Go prints it.
//!
//! Functions go by the names that Go prints. A generic one fits with its type arguments, with `[...]` and without any;
//! dots in the last element of an import path may stand as they are or as `%2e`, as in the function table.

use std::fmt;

use regex::{Regex, RegexBuilder};

use super::limits::{
    PATTERN_BYTES_MAX, PATTERN_CACHE_BYTES_MAX, PATTERN_COMPILED_BYTES_MAX, PATTERN_DEPTH_MAX,
};
use super::problem::{Problem, Span};

/// What the names are names of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Function,
    Type,
    /// `type.field`, the type with its whole path.
    Field,
    Program,
}

#[derive(Clone)]
pub struct Pattern {
    text: String,
    subject: Subject,
    matcher: Matcher,
}

#[derive(Clone)]
enum Matcher {
    Exact(String),
    Expression(Regex),
}

impl Pattern {
    pub fn parse(text: &str, subject: Subject) -> Result<Pattern, Problem> {
        let whole = Span::new(0, text.len());
        if text.is_empty() {
            return Err(Problem::new(whole, "an empty pattern fits nothing"));
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(Problem::new(whole, format!("a pattern has at most {PATTERN_BYTES_MAX} bytes")));
        }
        let inner =
            text.strip_prefix('/').and_then(|t| t.strip_suffix('/')).filter(|inner| !inner.is_empty());
        let matcher = match inner {
            Some(inner) => Matcher::Expression(compile(inner, whole)?),
            None if text.starts_with('/') => {
                return Err(Problem::new(whole, "a regular expression ends with /, too"));
            }
            None => match translate(text, subject)? {
                None => Matcher::Exact(text.to_owned()),
                Some(expression) => Matcher::Expression(compile(&expression, whole)?),
            },
        };
        Ok(Pattern { text: text.to_owned(), subject, matcher })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The one name that it means, if it has no stars and the like.
    pub fn exact(&self) -> Option<&str> {
        match &self.matcher {
            Matcher::Exact(name) => Some(name),
            Matcher::Expression(_) => None,
        }
    }

    pub fn matches(&self, name: &str) -> bool {
        match self.subject {
            Subject::Function => self.matches_function(name),
            Subject::Type => self.matches_type(name),
            Subject::Field | Subject::Program => self.fits(name),
        }
    }

    /// A field of a struct type, or an entry of a map by its key. With a pointer to the type, too.
    pub fn matches_field(&self, of: &str, field: &str) -> bool {
        let of = of.trim_start_matches('*');
        let plain = without_arguments(of);
        self.fits(&format!("{of}.{field}")) || (plain != of && self.fits(&format!("{plain}.{field}")))
    }

    fn fits(&self, name: &str) -> bool {
        match &self.matcher {
            Matcher::Exact(exact) => exact == name,
            Matcher::Expression(expression) => expression.is_match(name),
        }
    }

    fn matches_function(&self, name: &str) -> bool {
        if self.fits(name) {
            return true;
        }
        if name.contains("%2e") && self.matches_function(&name.replace("%2e", ".")) {
            return true;
        }
        if !name.contains('[') {
            return false;
        }
        let (bare, dotted) = outside_brackets(name);
        self.fits(&bare) || self.fits(&dotted)
    }

    /// Values of the type, and pointers to them.
    fn matches_type(&self, name: &str) -> bool {
        let of = name.trim_start_matches('*');
        let plain = without_arguments(of);
        self.fits(name) || (of != name && self.fits(of)) || (plain != of && self.fits(plain))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.subject == other.subject
    }
}

impl Eq for Pattern {}

/// `shop.Box` of `shop.Box[int]`; slices, arrays and maps have no name of their own.
fn without_arguments(of: &str) -> &str {
    match of.find('[') {
        Some(at) if at > 0 && of.ends_with(']') && !of.starts_with("map[") => &of[..at],
        _ => of,
    }
}

/// A function's name without its type arguments, and with `[...]` for them, as tracebacks have it.
pub(crate) fn outside_brackets(name: &str) -> (String, String) {
    let (mut bare, mut dotted) = (String::new(), String::new());
    let mut depth = 0usize;
    for c in name.chars() {
        match c {
            '[' => {
                if depth == 0 {
                    dotted.push_str("[...]");
                }
                depth += 1;
            }
            ']' => depth = depth.saturating_sub(1),
            c if depth == 0 => {
                bare.push(c);
                dotted.push(c);
            }
            _ => {}
        }
    }
    (bare, dotted)
}

fn compile(expression: &str, span: Span) -> Result<Regex, Problem> {
    let built = RegexBuilder::new(expression)
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .dfa_size_limit(PATTERN_CACHE_BYTES_MAX)
        .build();
    built.map_err(|error| {
        let message = match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too large; make it simpler".to_owned(),
            error => {
                // The last line says what; those before it repeat the pattern.
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                format!("not a regular expression: {last}")
            }
        };
        Problem::new(span, message)
    })
}

/// The pattern as a regular expression; `None` if it is nothing but a name.
fn translate(text: &str, subject: Subject) -> Result<Option<String>, Problem> {
    let (any, one) = match subject {
        Subject::Program => (".*", "."),
        Subject::Function | Subject::Type | Subject::Field => ("[^/.]*", "[^/.]"),
    };
    let mut expression = String::from("^(?s:");
    let mut open: Vec<usize> = Vec::new();
    let mut is_name = true;
    let mut characters = text.char_indices().peekable();
    let mut before = None;
    let mut brackets = 0usize;
    while let Some((at, c)) = characters.next() {
        let is_double = c == '*' && characters.peek().is_some_and(|(_, next)| *next == '*');
        let is_go = subject != Subject::Program
            && ((c == '*' && before == Some('(')) || (brackets > 0 && !is_double));
        is_name &= is_go || !matches!(c, '*' | '?' | '{' | '}');
        match c {
            '[' => brackets += 1,
            ']' => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        match c {
            c if is_go => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            '*' if is_double => {
                characters.next();
                expression.push_str(".*");
            }
            '*' => expression.push_str(any),
            '?' => expression.push_str(one),
            '{' => {
                if open.len() == PATTERN_DEPTH_MAX {
                    let message = format!("at most {PATTERN_DEPTH_MAX} levels of {{}}");
                    return Err(Problem::new(Span::new(at, at + 1), message));
                }
                open.push(at);
                expression.push_str("(?:");
            }
            '}' if open.pop().is_some() => expression.push(')'),
            '}' => return Err(Problem::new(Span::new(at, at + 1), "} without {")),
            ',' if !open.is_empty() => expression.push('|'),
            c => expression.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
        before = Some(c);
    }
    if let Some(at) = open.pop() {
        return Err(Problem::new(Span::new(at, at + 1), "{ without }"));
    }
    expression.push_str(")$");
    Ok((!is_name).then_some(expression))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str, subject: Subject) -> Pattern {
        Pattern::parse(text, subject).unwrap_or_else(|problem| panic!("{text}: {problem}"))
    }

    fn check(subject: Subject, cases: &[(&str, &[&str], &[&str])]) {
        for (text, fit, other) in cases {
            let pattern = pattern(text, subject);
            for name in *fit {
                assert!(pattern.matches(name), "{text} fits {name}");
            }
            for name in *other {
                assert!(!pattern.matches(name), "{text} does not fit {name}");
            }
        }
    }

    #[test]
    fn functions() {
        let place = "shop/orders.(*Service).Place";
        check(
            Subject::Function,
            &[
                (place, &[place], &["shop/orders.(*Service).Placed", "shop/orders.Service.Place"]),
                ("shop/*.(*Service).Place", &[place], &["shop/a/orders.(*Service).Place"]),
                ("shop/orders.*", &["shop/orders.Place"], &[place, "shop/orders.Place.func1"]),
                ("shop/orders.*.Place", &[place, "shop/orders.Service.Place"], &["shop/orders.Place"]),
                ("shop/orders.(**).Place", &[place], &["shop/orders.Service.Place"]),
                ("shop/orders.(*Serv*).P?ace", &[place], &[]),
                ("shop/**", &[place, "shop/orders.Place.func1"], &["shopper/x.Y"]),
                ("**.Place", &[place], &["shop/orders.(*Service).Places"]),
                (
                    "shop/orders.(*Service).{Place,Cancel{,All}}",
                    &[place, "shop/orders.(*Service).CancelAll"],
                    &[],
                ),
                (r"/\)\.Place$/", &[place], &["shop/orders.Place"]),
                ("/(?i)service/", &[place], &[]),
                ("gopkg.in/yaml.v3.Unmarshal", &["gopkg.in/yaml%2ev3.Unmarshal"], &[]),
            ],
        );
    }

    #[test]
    fn generic_functions_go_by_three_names() {
        let map = "shop.Map[go.shape.struct { a/b.X int },go.shape.[]int]";
        let add = "shop.(*Set[go.shape.int]).Add";
        check(
            Subject::Function,
            &[
                ("shop.Map", &[map], &["shop.Mapper"]),
                ("shop.Map[...]", &[map], &["shop.Map"]),
                ("shop.Map[**,go.shape.[]int]", &[map], &["shop.Map[go.shape.int,go.shape.int]"]),
                ("shop.Map[*shop.T,int]", &["shop.Map[*shop.T,int]"], &["shop.Map[shop.T,int]"]),
                (map, &[map], &[]),
                ("shop.(*Set[...]).Add", &[add], &[]),
                ("shop.(*Set).*", &[add], &[map]),
            ],
        );
    }

    #[test]
    fn types_and_fields() {
        check(
            Subject::Type,
            &[
                (
                    "**.Password",
                    &["shop/model.Password", "*shop/model.Password", "a.b/c.Password"],
                    &["shop/model.PasswordHash", "[]shop/model.Pass"],
                ),
                ("shop.Secret", &["shop.Secret[int]", "**shop.Secret"], &["map[string]shop.Secret"]),
            ],
        );
        let field = pattern("**.{Authorization,Cookie,Token,Secret*}", Subject::Field);
        for (of, name) in [
            ("net/http.Header", "Cookie"),
            ("*shop/model.User", "Token"),
            ("x.Y[int]", "SecretKey"),
            ("x.Y", "Token"),
        ] {
            assert!(field.matches_field(of, name), "{of} {name}");
        }
        assert!(!field.matches_field("x.Y", "TokenLength"));
        assert!(pattern("x.Y.Token", Subject::Field).matches_field("*x.Y[map[string]int]", "Token"));
    }

    #[test]
    fn programs_are_as_on_the_command_line() {
        check(
            Subject::Program,
            &[
                ("shop*", &["shop", "shop-api", "shop.a/b"], &["ashop"]),
                ("shop-?pi", &["shop-api"], &["shop-pi"]),
                ("{a,b}*", &["a1", "b"], &["c"]),
            ],
        );
    }

    #[test]
    fn mistakes_are_placed() {
        for (text, start, message) in [
            ("", 0, "empty"),
            ("a{b", 1, "{ without }"),
            ("a}b", 1, "} without {"),
            ("/a(/", 0, "unclosed group"),
            ("/a", 0, "ends with /"),
            (r"/\w{1000}{1000}/", 0, "too large"),
            (&"{".repeat(20), 8, "at most"),
            (&"a".repeat(2_000), 0, "at most"),
        ] {
            let problem = Pattern::parse(text, Subject::Function).unwrap_err();
            assert_eq!(problem.span.start, start, "{text}: {problem}");
            assert!(problem.message.contains(message), "{text}: {problem}");
        }
    }

    #[test]
    fn a_name_stays_a_name() {
        let place = "shop/orders.(*Service).Place";
        assert_eq!(pattern(place, Subject::Function).exact(), Some(place));
        assert_eq!(pattern("shop/orders.(**).Place", Subject::Function).exact(), None);
    }
}
