//! `context.Context`: the chain of contexts, from the innermost out, and what follows from it.
//!
//! Parts: `deadline` (null: none), `cancelled`, and where it is `err` and `cause`; `chain`, of each link its type as `$type`, and of
//! one that holds a value the type of its `key`. Values themselves are not shown: an expression asks for one by its key.
//!
//! A context of a type that is not of the standard library ends the chain: what its methods do is not in its fields.

use std::sync::Arc;

use crate::gap::Gap;
use crate::place::Place;
use crate::types::{Shape, Type, TypeRef};
use crate::value::buffer::{Buffer, View};
use crate::value::reader::{Walk, check_address};
use crate::value::{Reader, Value};

/// Contexts in one chain.
const LINKS_MAX: usize = 100;

/// One context.
struct Link {
    /// As an interface has it: `*context.valueCtx`.
    name: String,
    ty: Arc<Type>,
    buffer: Buffer,
}

/// The types of package `context` (Go 1.21 to 1.27), and others of the standard library.
enum Kind {
    Background,
    /// Only hands on.
    Plain,
    Value,
    Cancel,
    Timer,
    WithoutCancel,
    Unknown,
}

impl Link {
    /// What it is, and the path to the context that it was made from.
    fn kind(&self) -> (Kind, &'static str) {
        match self.ty.name.as_str() {
            "context.backgroundCtx" | "context.todoCtx" | "context.emptyCtx" => (Kind::Background, ""),
            "context.valueCtx" => (Kind::Value, "Context"),
            "context.cancelCtx" => (Kind::Cancel, "Context"),
            "context.afterFuncCtx" => (Kind::Cancel, "cancelCtx.Context"),
            "context.timerCtx" => (Kind::Timer, "cancelCtx.Context"),
            "context.withoutCancelCtx" => (Kind::WithoutCancel, "c"),
            "context.stopCtx" | "os/signal.signalCtx" => (Kind::Plain, "Context"),
            _ => (Kind::Unknown, ""),
        }
    }

    fn view(&self) -> View<'_> {
        self.buffer.view()
    }

    /// Where a cancelCtx has its fields.
    fn own(&self, field: &str) -> String {
        match self.ty.name.as_str() {
            "context.cancelCtx" => field.to_owned(),
            _ => format!("cancelCtx.{field}"),
        }
    }
}

impl Reader<'_> {
    /// Where the deadline of the context in an interface is, and its type; `None`: it has none.
    pub fn deadline(&self, place: &Place, of: TypeRef) -> Result<Option<(Place, TypeRef)>, Gap> {
        let mut found = None;
        self.chain(&self.context_place(place, of)?, |link| {
            Ok(match link.kind().0 {
                Kind::Timer => {
                    let (view, of) = self.part(link.view(), &link.ty, "deadline")?;
                    found = Some((view.place(), of));
                    false
                }
                // Its methods say that it has none.
                Kind::WithoutCancel => false,
                Kind::Unknown => return Err(Gap::OtherType(link.name.clone())),
                _ => true,
            })
        })?;
        Ok(found)
    }

    /// The value that the context in an interface has for a key of this type, or that itself is of this type: its type, and
    /// where it is. The name may lack the folders of its package's path.
    pub fn context_value(&self, place: &Place, of: TypeRef, name: &str) -> Result<(TypeRef, Place), Gap> {
        let mut found = None;
        self.chain(&self.context_place(place, of)?, |link| {
            match link.kind().0 {
                Kind::Value => {}
                Kind::Unknown => return Err(Gap::OtherType(link.name.clone())),
                _ => return Ok(true),
            }
            let key = self.held(self.part(link.view(), &link.ty, "key")?.0, false)?;
            let value = self.held(self.part(link.view(), &link.ty, "val")?.0, false)?;
            let is = |held: &Option<(TypeRef, Place)>| match held {
                Some((of, _)) => Ok(is_named(&self.types.get(*of)?.name, name)),
                None => Ok(false),
            };
            if is(&key)? || is(&value)? {
                found = Some(value.ok_or(Gap::NilInterface)?);
                return Ok(false);
            }
            Ok(true)
        })?;
        let (of, place) = found.ok_or(Gap::NoSuchKey)?;
        if self.redact.hides_type(&self.types.get(of)?.name) {
            return Err(Gap::Redacted);
        }
        Ok((of, place))
    }

    fn context_place(&self, place: &Place, of: TypeRef) -> Result<Place, Gap> {
        let ty = self.types.get(of)?;
        match ty.shape {
            Shape::Interface { has_methods: true } => Ok(place.clone()),
            _ => Err(Gap::Expression(format!("{} is no context.Context", ty.name))),
        }
    }

    /// Calls `each` for every link until it wants no more.
    fn chain(&self, place: &Place, mut each: impl FnMut(&Link) -> Result<bool, Gap>) -> Result<(), Gap> {
        let mut buffer = self.read(place, 16)?;
        for _ in 0..LINKS_MAX {
            let Some(link) = self.link(buffer.view())? else { return Ok(()) };
            let goes_on = each(&link)?;
            let (kind, parent) = link.kind();
            if !goes_on || matches!(kind, Kind::Background | Kind::Unknown) {
                return Ok(());
            }
            let (view, _) = self.part(link.view(), &link.ty, parent)?;
            buffer = Buffer::read(self.memory, &view.place(), 16)?;
        }
        Err(Gap::Elements { shown: LINKS_MAX as u64, length: LINKS_MAX as u64 + 1 })
    }

    /// The context that an interface holds; `None` is nil.
    fn link(&self, view: View<'_>) -> Result<Option<Link>, Gap> {
        let Some((held, place)) = self.held(view, true)? else { return Ok(None) };
        let ty = self.types.get(held)?;
        let name = ty.name.clone();
        let (ty, place) = match ty.shape {
            Shape::Pointer(target) => {
                let address = self.pointer(&place)?;
                check_address(address)?;
                (self.types.get(target)?, Place::At(address))
            }
            _ => (ty, place),
        };
        // Of an unknown one nothing is looked at.
        let mut link = Link { name, ty, buffer: self.read(&place, 0)? };
        if !matches!(link.kind().0, Kind::Unknown) {
            link.buffer = self.read(&place, link.ty.size)?;
        }
        Ok(Some(link))
    }

    /// Whether a cancelCtx was cancelled. Its error is an `error`, and an atomic.Value since Go 1.25; both begin with a word
    /// that is zero where there is none.
    fn is_cancelled(&self, link: &Link) -> Result<bool, Gap> {
        Ok(self.part(link.view(), &link.ty, &link.own("err"))?.0.word(0)? != 0)
    }

    pub(super) fn context(&self, view: View<'_>, walk: &mut Walk) -> Result<Value, Gap> {
        if view.word(0)? == 0 {
            return Ok(Value::Nil);
        }
        let mut chain = Vec::new();
        // As `Deadline` and `Err` would say; a link that ends the inheritance answers them.
        let mut deadline = None;
        let mut cancelled: Option<Result<bool, Gap>> = None;
        let mut why = Vec::new();
        let ended = self.chain(&view.place(), |link| {
            let mut parts = vec![("$type".to_owned(), Value::Text(link.name.clone()))];
            match link.kind().0 {
                Kind::Value => {
                    let key =
                        self.part(link.view(), &link.ty, "key").and_then(|(key, _)| self.held(key, false));
                    let key = key.and_then(|key| match key {
                        Some((of, _)) => Ok(Value::Text(self.types.get(of)?.name.clone())),
                        None => Ok(Value::Nil),
                    });
                    parts.push(("key".to_owned(), key.unwrap_or_else(Value::Missing)));
                }
                kind @ (Kind::Cancel | Kind::Timer) => {
                    let mut field = |path: &str| match self.part(link.view(), &link.ty, path) {
                        Ok((view, of)) => self.value(view, of, walk),
                        Err(gap) => Value::Missing(gap),
                    };
                    if matches!(kind, Kind::Timer) {
                        let at = field("deadline");
                        parts.push(("deadline".to_owned(), at.clone()));
                        deadline.get_or_insert(at);
                    }
                    let is = self.is_cancelled(link);
                    let shown = is.clone().map_or_else(Value::Missing, Value::Bool);
                    parts.push(("cancelled".to_owned(), shown));
                    if cancelled.is_none() && is == Ok(true) {
                        why.push(("err".to_owned(), field(&link.own("err"))));
                        match field(&link.own("cause")) {
                            Value::Nil => {}
                            cause => why.push(("cause".to_owned(), cause)),
                        }
                    }
                    cancelled.get_or_insert(is);
                }
                Kind::WithoutCancel => {
                    deadline.get_or_insert(Value::Nil);
                    cancelled.get_or_insert(Ok(false));
                }
                Kind::Unknown => {
                    let gap = Gap::OtherType(link.name.clone());
                    deadline.get_or_insert(Value::Missing(gap.clone()));
                    cancelled.get_or_insert(Err(gap));
                }
                Kind::Background | Kind::Plain => {}
            }
            chain.push(Value::Record(parts));
            Ok(true)
        });
        let gap = ended.err();
        let otherwise = |value: Value| gap.clone().map_or(value, Value::Missing);
        let deadline = deadline.unwrap_or_else(|| otherwise(Value::Nil));
        let cancelled = match cancelled {
            Some(cancelled) => cancelled.map_or_else(Value::Missing, Value::Bool),
            None => otherwise(Value::Bool(false)),
        };
        let mut parts = vec![("deadline".to_owned(), deadline), ("cancelled".to_owned(), cancelled)];
        parts.append(&mut why);
        let chain = Value::List(chain);
        parts.push(("chain".to_owned(), gap.map_or(chain.clone(), |gap| Value::cut(chain, gap))));
        Ok(Value::Record(parts))
    }
}

/// Whether `whole`, the name of a type or of a pointer to it, is meant by `name`, which may lack the folders of its package's
/// path: `trace.SpanContext` for `go.opentelemetry.io/otel/trace.SpanContext`.
fn is_named(whole: &str, name: &str) -> bool {
    let (whole, name) = (whole.trim_start_matches('*'), name.trim_start_matches('*'));
    whole == name || whole.strip_suffix(name).is_some_and(|folders| folders.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_named_with_or_without_the_folders_of_their_path() {
        assert!(is_named("go.opentelemetry.io/otel/trace.SpanContext", "trace.SpanContext"));
        assert!(is_named("*shop/model.User", "model.User"));
        assert!(is_named("main.key", "main.key"));
        assert!(!is_named("shop/supermodel.User", "model.User"));
    }
}
