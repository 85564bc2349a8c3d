//! Packs: probe sets that come with Stillframe, for the libraries that most services use. Each is a file of `packs/`.

/// A probe set that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pack {
    pub name: &'static str,
    pub text: &'static str,
    /// Captured unless something else is asked for: what it costs does not grow with the goroutines that wait.
    pub is_default: bool,
}

macro_rules! pack {
    ($name:literal, $is_default:literal) => {
        Pack {
            name: $name,
            text: include_str!(concat!("../../packs/", $name, ".toml")),
            is_default: $is_default,
        }
    };
}

/// In the order in which they are applied: what completes rows of others comes after them.
pub const PACKS: [Pack; 10] = [
    pack!("http_server", true),
    pack!("http_client", true),
    pack!("grpc_server", true),
    pack!("grpc_client", true),
    pack!("database_sql", true),
    pack!("pgx", true),
    pack!("redis", true),
    pack!("otel", true),
    pack!("context", false),
    pack!("locks", false),
];

impl Pack {
    pub fn named(name: &str) -> Option<Pack> {
        PACKS.into_iter().find(|pack| pack.name == name)
    }

    /// What it is for: the comment that its text begins with.
    pub fn about(&self) -> String {
        let lines = self.text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim);
        lines.collect::<Vec<_>>().join(" ")
    }
}

/// Whether a probe of this name comes with the program.
pub fn have_probe(name: &str) -> bool {
    PACKS.iter().any(|pack| pack.text.contains(&format!("[[probe]]\nname = \"{name}\"\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe_sets::{self, check};

    #[test]
    fn all_of_them_together_are_one_set() {
        let all: String = PACKS.iter().map(|pack| pack.text).collect();
        check(&all).unwrap();
    }

    #[test]
    fn their_probes_are_known_by_name() {
        for pack in PACKS {
            for probe in probe_sets::outline(pack.text).unwrap().probes {
                assert!(have_probe(&probe.name), "{}", probe.name);
            }
        }
        assert!(!have_probe("cancelled") && !have_probe("orders"));
    }

    #[test]
    fn each_is_one_alone_and_says_what_it_is_for() {
        for pack in PACKS {
            check(pack.text).unwrap_or_else(|errors| panic!("{}: {errors}", pack.name));
            assert!(pack.about().contains("Without debug information: "), "{}", pack.name);
            assert_eq!(Pack::named(pack.name), Some(pack));
        }
    }
}
