//! What a captured expression is called as a column.
//!
//! SQLite does not tell upper from lower case in names, and all other columns of a snapshot are in lower case with
//! underscores. So is the default name: the words of the expression. `req.UserID` is `req_user_id`, `len(req.Items)` is
//! `len_req_items`, `req.Items[0].SKU` is `req_items_0_sku`, `req.Tags["tenant"]` is `req_tags_tenant`.

use super::expression::{Constant, Expression, Kind, TypeKind, TypeName};
use super::limits::NAME_BYTES_MAX;

/// Columns that each probe's table has.
pub const RESERVED: [&str; 3] = ["goroutine_id", "process_id", "depth"];

/// The default name; `None` where the expression has no letter that a plain name may have.
pub fn default_name(expression: &Expression) -> Option<String> {
    let mut words = Vec::new();
    collect(expression, &mut words);
    let name =
        words.iter().map(|word| snake(word)).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    let name: String = name.chars().take(NAME_BYTES_MAX).collect();
    is_name(&name).then_some(name)
}

/// `[a-z][a-z0-9_]*`, not too long.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && text.len() <= NAME_BYTES_MAX
}

/// A name that [`is_name`] takes, in the place of one that it does not.
pub fn suggested_name(text: &str) -> Option<String> {
    let name: String = snake(text).chars().take(NAME_BYTES_MAX).collect();
    is_name(&name).then_some(name)
}

/// As deep as the expression is, which its parser bounds.
fn collect(expression: &Expression, words: &mut Vec<String>) {
    match &expression.kind {
        Kind::Name(name) => words.push(name.clone()),
        Kind::Global { package, name } => words.extend([last_element(package), name.text.clone()]),
        Kind::Select { of, field } => {
            collect(of, words);
            words.push(field.text.clone());
        }
        Kind::Dereference(of) | Kind::Load(of) | Kind::Held(of) => collect(of, words),
        Kind::Index { of, key } => {
            collect(of, words);
            words.push(match key {
                Constant::Integer(number) => number.to_string().replace('-', "minus_"),
                Constant::Text(text) => text.clone(),
                Constant::Bool(value) => value.to_string(),
            });
        }
        Kind::Slice { of, low, high } => {
            collect(of, words);
            words.extend([*low, *high].into_iter().flatten().map(|bound| bound.to_string()));
        }
        Kind::Assert { of, to } => {
            collect(of, words);
            collect_type(to, words);
        }
        Kind::Call { of, builtin } => {
            words.push(builtin.name().to_owned());
            collect(of, words);
        }
        Kind::Deadline(of) => {
            collect(of, words);
            words.push("deadline".to_owned());
        }
        Kind::ContextValue { of, key } => {
            collect(of, words);
            words.push("value".to_owned());
            collect_type(key, words);
        }
    }
}

fn collect_type(of: &TypeName, words: &mut Vec<String>) {
    match &of.kind {
        TypeKind::Pointer(to) | TypeKind::Slice(to) | TypeKind::Array(_, to) => collect_type(to, words),
        TypeKind::Map(key, element) => {
            collect_type(key, words);
            collect_type(element, words);
        }
        TypeKind::Named { package, name, .. } => {
            words.extend(package.as_deref().map(last_element));
            words.push(name.clone());
        }
    }
}

fn last_element(package: &str) -> String {
    package.rsplit('/').next().unwrap_or(package).to_owned()
}

/// `UserID` is `user_id`, `HTTPServer` is `http_server`, `x-request-id` is `x_request_id`.
fn snake(word: &str) -> String {
    let characters: Vec<char> = word.chars().collect();
    let mut name = String::new();
    for (index, &c) in characters.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            name.push('_');
            continue;
        }
        let before = index.checked_sub(1).map(|i| characters[i]);
        let after = characters.get(index + 1);
        let begins = c.is_ascii_uppercase()
            && before.is_some_and(|b| {
                b.is_ascii_lowercase()
                    || b.is_ascii_digit()
                    || (b.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
            });
        if begins {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    let parts: Vec<&str> = name.split('_').filter(|part| !part.is_empty()).collect();
    parts.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_words_of_the_expression() {
        for (text, name) in [
            ("req.ID", "req_id"),
            ("req.UserID", "req_user_id"),
            ("s.HTTPServer.Addr", "s_http_server_addr"),
            ("len(req.Items)", "len_req_items"),
            ("req.Items[0].SKU", "req_items_0_sku"),
            (r#"req.Header["X-Request-Id"]"#, "req_header_x_request_id"),
            ("store.(*postgresStore).dsn", "store_postgres_store_dsn"),
            ("ctx.Deadline()", "ctx_deadline"),
            ("ctx.Value(otel.SpanContext).traceID", "ctx_value_otel_span_context_trace_id"),
            ("*p", "p"),
            ("~r0", "r0"),
            ("body[1:3]", "body_1_3"),
            ("net/http.DefaultClient", "http_default_client"),
            ("_tmp", "tmp"),
        ] {
            assert_eq!(default_name(&Expression::parse(text).unwrap()).as_deref(), Some(name), "{text}");
        }
        assert_eq!(default_name(&Expression::parse("ä").unwrap()), None);
        let long =
            default_name(&Expression::parse(&format!("x{}", ".abcdefgh".repeat(20))).unwrap()).unwrap();
        assert_eq!(long.len(), NAME_BYTES_MAX);
    }

    #[test]
    fn names_that_are_not_plain_have_one_that_is() {
        assert_eq!(suggested_name("userID").as_deref(), Some("user_id"));
        assert_eq!(suggested_name("Orders-Slow").as_deref(), Some("orders_slow"));
        assert_eq!(suggested_name("1"), None);
    }
}
