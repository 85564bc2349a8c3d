//! Which of the `[[program]]` rules is the one of a process: the same answer on its host and where the snapshot is kept.

use super::super::pattern::Pattern;
use super::ProgramRule;

/// What rules are about.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    pub exe: Option<&'a str>,
    /// Without secrets: as the snapshot has it.
    pub cmdline: Option<&'a str>,
    pub container: Option<&'a str>,
}

/// It cannot be told whether a rule fits, nor so which is the first that does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "program {number}.match.env: it is not known whether it fits, nor what a later rule would count for: {why}"
)]
pub struct Undecided {
    /// Of the rule, from 1 on.
    pub number: u32,
    pub why: String,
}

/// The first rule that fits. `environment`: whether that of the process fits a rule, or why it is not known.
pub fn first_rule<'a>(
    rules: &'a [ProgramRule],
    process: &Described<'_>,
    environment: impl Fn(&ProgramRule) -> Result<bool, String>,
) -> Result<Option<&'a ProgramRule>, Undecided> {
    for rule in rules {
        let fits = |pattern: &Option<Pattern>, text: Option<&str>| match (pattern, text) {
            (None, _) => true,
            (Some(pattern), Some(text)) => pattern.matches(text),
            (Some(_), None) => false,
        };
        let is_it = fits(&rule.exe, process.exe)
            && fits(&rule.cmdline, process.cmdline)
            && fits(&rule.container, process.container);
        if !is_it {
            continue;
        }
        let number = rule.number;
        if rule.env.is_empty() || environment(rule).map_err(|why| Undecided { number, why })? {
            return Ok(Some(rule));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::{EnvironmentFits, ProbeSet};
    use super::*;

    #[test]
    fn the_first_rule_that_fits_counts_and_none_behind_one_that_is_not_decided() {
        let rules = ProbeSet::parse(
            "[[program]]\nname = 'eu'\nmatch = { exe = '*/shop', env = { REGION = 'eu*' } }\n\
             [[program]]\nname = 'shop'\nmatch = { exe = '*/shop' }\n",
        );
        let rules = rules.unwrap().programs;
        let first = |exe, environment: &EnvironmentFits| {
            let process = Described { exe, cmdline: None, container: None };
            first_rule(&rules, &process, |rule| environment.fits(rule))
                .map(|rule| rule.and_then(|rule| rule.name.clone()))
        };
        let shop = Some("/usr/bin/shop");
        let named = |name: &str| Ok(Some(name.to_owned()));
        assert_eq!(first(shop, &EnvironmentFits::Rules(vec![1])), named("eu"));
        assert_eq!(first(shop, &EnvironmentFits::Rules(vec![])), named("shop"));
        let unknown = EnvironmentFits::Unknown("permission denied".to_owned());
        let undecided = first(shop, &unknown).unwrap_err();
        assert!(undecided.to_string().ends_with(": permission denied"), "{undecided}");
        assert!(first(shop, &EnvironmentFits::NotAsked).is_err());
        // What does not depend on it is known.
        assert_eq!(first(Some("/usr/bin/other"), &unknown), Ok(None));
        assert_eq!(first(None, &unknown), Ok(None));
    }
}
