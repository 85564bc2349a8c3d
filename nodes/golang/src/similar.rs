//! What a person may have meant who misspelled a name.

/// Suggestions for one name.
const SUGGESTIONS_MAX: usize = 5;
/// Longer names are not compared.
const NAME_BYTES_MAX: usize = 200;

/// Those of `names` that are near `name`, nearest first. Near is as many changed, missing, added or swapped characters as a
/// third of the name has.
pub fn similar<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    let allowed = (name.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = Vec::new();
    for other in names {
        if other == name || other.len() > NAME_BYTES_MAX || other.len().abs_diff(name.len()) > 4 * allowed {
            continue;
        }
        let distance = strsim::osa_distance(name, other);
        let entry = (distance, other);
        if distance <= allowed
            && let Err(at) = near.binary_search(&entry)
        {
            near.insert(at, entry);
            near.truncate(SUGGESTIONS_MAX);
        }
    }
    near.into_iter().map(|(_, other)| other.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_comes_first() {
        let names =
            ["main.Order", "main.Orders", "main.Border", "main.order", "net/http.Request", "main.Odrer"];
        assert_eq!(similar("main.Ordr", names)[0], "main.Order");
        assert_eq!(similar("main.Ordre", names)[0], "main.Order");
        assert_eq!(similar("time.Duration", names), Vec::<String>::new());
        assert_eq!(similar("x", ["y", "xy", "abc"]), ["xy", "y"]);
    }
}
