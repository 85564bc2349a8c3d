//! What an expression may begin with: the variables of a function, and those of packages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::dwarf::{DebugInfo, PackageVariable};
use crate::function_table::ModuleFunctions;
use crate::gap::Gap;
use crate::package;
use crate::types::TypeRef;
use crate::variable::Variable;

/// Import paths of one build that are remembered.
const PACKAGES_MAX: usize = 1 << 16;

/// Functions whose variables are remembered.
const FUNCTIONS_MAX: usize = 1 << 12;

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The function's name, as debug information has it.
    pub function: &'a str,
    /// Those of one frame.
    pub variables: &'a [Variable],
    pub program: &'a dyn Program,
}

/// What a name beyond the frame means in a program.
pub trait Program {
    /// All variables that a function declares, in whatever block.
    fn declared(&self, function: &str) -> Result<Arc<[(String, TypeRef)]>, Gap>;

    /// By its whole name: `shop/orders.nodeName`.
    fn package_variable(&self, name: &str) -> Result<Option<PackageVariable>, Gap>;

    /// Import paths of the packages that go by this name: `net/http` for `http`.
    fn packages(&self, name: &str) -> Vec<String>;

    /// All names that packages go by.
    fn package_names(&self) -> Vec<String>;
}

/// A build with debug information.
pub struct BuildProgram<'a> {
    debug: Arc<DebugInfo>,
    functions: ModuleFunctions<'a>,
    packages: OnceLock<HashMap<String, Vec<String>>>,
    declared: Mutex<HashMap<String, Declared>>,
}

type Declared = Arc<[(String, TypeRef)]>;

impl<'a> BuildProgram<'a> {
    pub fn new(debug: Arc<DebugInfo>, functions: ModuleFunctions<'a>) -> Self {
        BuildProgram { debug, functions, packages: OnceLock::new(), declared: Mutex::default() }
    }

    /// The function table knows all packages that have code.
    fn by_name(&self) -> &HashMap<String, Vec<String>> {
        self.packages.get_or_init(|| {
            let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
            let mut last = String::new();
            let mut count = 0;
            for function in self.functions.all() {
                let path = package::of_function(self.functions.name(&function));
                // Functions of a package lie side by side. Those that the compiler makes for types, such as
                // `type:.eq.net/http.Cookie`, are of no package (cmd/compile/internal/types, TypeSymLookup).
                if path == last || path.is_empty() || path.contains(':') {
                    continue;
                }
                if count == PACKAGES_MAX {
                    break;
                }
                count += 1;
                let paths = by_name.entry(package_name(&path).to_owned()).or_default();
                if !paths.contains(&path) {
                    paths.push(path.clone());
                }
                last = path;
            }
            by_name
        })
    }
}

impl Program for BuildProgram<'_> {
    fn declared(&self, function: &str) -> Result<Arc<[(String, TypeRef)]>, Gap> {
        let lock = || self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(function) {
            return Ok(Arc::clone(known));
        }
        let survey = self.debug.function_variables(function, &mut std::iter::empty())?;
        let declared: Declared =
            survey.variables.into_iter().map(|variable| (variable.name, variable.of)).collect();
        let mut known = lock();
        if known.len() >= FUNCTIONS_MAX {
            known.clear();
        }
        known.insert(function.to_owned(), Arc::clone(&declared));
        Ok(declared)
    }

    fn package_variable(&self, name: &str) -> Result<Option<PackageVariable>, Gap> {
        for name in spellings(name) {
            if let Some(found) = self.debug.variable(&name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn packages(&self, name: &str) -> Vec<String> {
        self.by_name().get(name).cloned().unwrap_or_default()
    }

    fn package_names(&self) -> Vec<String> {
        self.by_name().keys().cloned().collect()
    }
}

/// What a package is called where it is imported, as far as its path tells: its last element, which is not a version.
pub(super) fn package_name(path: &str) -> &str {
    let is_version = |text: &str| {
        text.strip_prefix('v')
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    };
    let (front, last) = path.rsplit_once('/').unwrap_or(("", path));
    if is_version(last) && !front.is_empty() {
        return front.rsplit('/').next().unwrap_or(front);
    }
    match last.rsplit_once('.') {
        Some((name, version)) if is_version(version) => name,
        _ => last,
    }
}

/// `path.Name` as it is, and with the dots of the path's last element as the linker may write them
/// (cmd/internal/objabi, PathToPrefix).
pub(super) fn spellings(name: &str) -> Vec<String> {
    let arguments = name.find('[').unwrap_or(name.len());
    let element = name[..arguments].rfind('/').map_or(0, |slash| slash + 1);
    let mut spellings = vec![name.to_owned()];
    if let Some(dot) = name[..arguments].rfind('.')
        && name[element..dot].contains('.')
    {
        spellings.push(format!(
            "{}{}{}",
            &name[..element],
            name[element..dot].replace('.', "%2e"),
            &name[dot..]
        ));
    }
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_called_by_their_last_element() {
        for (path, name) in [
            ("net/http", "http"),
            ("main", "main"),
            ("github.com/jackc/pgx/v5", "pgx"),
            ("gopkg.in/yaml.v3", "yaml"),
            ("v2", "v2"),
        ] {
            assert_eq!(package_name(path), name);
        }
    }

    #[test]
    fn dots_of_the_last_element_may_be_escaped() {
        assert_eq!(spellings("net/http.Client"), ["net/http.Client"]);
        assert_eq!(spellings("github.com/a/b.T[x.y/z.U]"), ["github.com/a/b.T[x.y/z.U]"]);
        assert_eq!(spellings("gopkg.in/yaml.v3.Node"), ["gopkg.in/yaml.v3.Node", "gopkg.in/yaml%2ev3.Node"]);
    }
}
