//! Takes secrets out of command lines before they leave the host.
//!
//! What is taken: values of flags and variables whose name says secret, passwords in URLs, and the values in a URL's
//! query. What is left may still be private; it is what `ps` shows to every user of the host.

use stillframe_golang::probe::set::names_a_secret;
use stillframe_wire::limits::COMMAND_LINE_BYTES_MAX;

const HIDDEN: &str = "***";

/// Arguments joined by spaces.
pub(crate) fn command_line(arguments: &[String]) -> String {
    let mut line = String::new();
    let mut value_is_secret = false;
    for argument in arguments {
        let is_flag = argument.starts_with('-');
        let shown =
            if value_is_secret && !is_flag { HIDDEN.to_owned() } else { argument_without_secrets(argument) };
        // `--password hunter2`: the value stands alone.
        value_is_secret = is_flag && !argument.contains('=') && names_a_secret(argument);
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&shown);
    }
    let end = (0..=COMMAND_LINE_BYTES_MAX.min(line.len())).rev().find(|&i| line.is_char_boundary(i));
    line.truncate(end.unwrap_or(0));
    line
}

fn argument_without_secrets(argument: &str) -> String {
    if let Some((name, _)) = argument.split_once('=')
        && names_a_secret(name)
        && !name.contains("://")
    {
        return format!("{name}={HIDDEN}");
    }
    // `host=db password=hunter2 user=shop`, as PostgreSQL's drivers take it.
    let words: Vec<String> = argument
        .split(' ')
        .map(|word| match word.split_once('=') {
            Some((name, _)) if names_a_secret(name) && !name.contains("://") => format!("{name}={HIDDEN}"),
            _ => url_without_secrets(word),
        })
        .collect();
    words.join(" ")
}

fn url_without_secrets(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((user, host)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:{HIDDEN}@{host}"),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    let path = match path.split_once('?') {
        Some((path, query)) => format!("{path}?{}", query_without_values(query)),
        None => path.to_owned(),
    };
    format!("{scheme}://{authority}{path}")
}

fn query_without_values(query: &str) -> String {
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}={HIDDEN}"),
            None => HIDDEN.to_owned(),
        })
        .collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_leave_the_host() {
        let scrubbed = |line: &str| command_line(&line.split('|').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(scrubbed("api|--db-password=hunter2|-v"), "api --db-password=*** -v");
        assert_eq!(scrubbed("api|--token|abc|--port|80"), "api --token *** --port 80");
        assert_eq!(
            scrubbed("api|--db=postgres://shop:hunter2@db:5432/shop?sslmode=off"),
            "api --db=postgres://shop:***@db:5432/shop?sslmode=***"
        );
        assert_eq!(scrubbed("api|host=db password=hunter2 user=shop"), "api host=db password=*** user=shop");
        assert_eq!(scrubbed("api|http://a/b?key=1"), "api http://a/b?key=***");
        assert_eq!(scrubbed("api|--listen=:8080|a=b"), "api --listen=:8080 a=b");
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let line = command_line(&["ä".repeat(COMMAND_LINE_BYTES_MAX)]);
        assert!(line.len() <= COMMAND_LINE_BYTES_MAX && line.len() >= COMMAND_LINE_BYTES_MAX - 1);
    }
}
