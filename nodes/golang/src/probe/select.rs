//! Go's rules for selectors (specification, "Selectors"): a field of a struct, or of what it embeds, at the shallowest depth
//! where there is exactly one of that name.

use std::sync::Arc;

use super::limits::{EMBEDDED_DEPTH_MAX, EMBEDDED_FIELDS_MAX};
use super::plan::Step;
use crate::gap::Gap;
use crate::types::{Field, Shape, Type, TypeRef, Types};

/// What a name selects of a type.
pub(super) enum Selected {
    /// The steps from a value to the field, and the field's type.
    Field { steps: Vec<Step>, of: TypeRef },
    /// The embedded fields through which there is one, at the same depth.
    Ambiguous(Vec<String>),
    /// The names that there are.
    Missing(Vec<String>),
    /// Neither a struct nor a pointer to one.
    NoStruct,
}

/// A value on the way: how to get there.
struct Reached {
    steps: Vec<Step>,
    path: String,
    of: TypeRef,
}

/// A field of the struct of type `of`, or of the one that it points to.
pub(super) fn select(types: &dyn Types, of: TypeRef, name: &str) -> Result<Selected, Gap> {
    let mut level = vec![Reached { steps: Vec::new(), path: String::new(), of }];
    let mut seen: Vec<TypeRef> = Vec::new();
    let mut names = Vec::new();
    let mut is_struct = false;
    for _ in 0..EMBEDDED_DEPTH_MAX {
        let mut found: Vec<(Reached, TypeRef)> = Vec::new();
        let mut next = Vec::new();
        let mut seen_here = Vec::new();
        for reached in level {
            let Some((structure, ty, steps)) = open(types, &reached)? else { continue };
            is_struct = true;
            if seen.contains(&structure) {
                continue;
            }
            seen_here.push(structure);
            let Shape::Struct(fields) = &ty.shape else { continue };
            for field in fields.iter().filter(|field| field.name != "_") {
                names.push(field.name.clone());
                if field.name == name {
                    let steps = with(&steps, structure, &ty, field);
                    found.push((Reached { steps, path: reached.path.clone(), of: field.of }, field.of));
                } else if field.is_embedded {
                    if next.len() == EMBEDDED_FIELDS_MAX {
                        return Err(Gap::UnknownType(format!("{} embeds too much", ty.name)));
                    }
                    let path = if reached.path.is_empty() {
                        field.name.clone()
                    } else {
                        format!("{}.{}", reached.path, field.name)
                    };
                    next.push(Reached { steps: with(&steps, structure, &ty, field), path, of: field.of });
                }
            }
        }
        if found.len() > 1 {
            return Ok(Selected::Ambiguous(found.into_iter().map(|(reached, _)| reached.path).collect()));
        }
        if let Some((Reached { steps, .. }, of)) = found.pop() {
            return Ok(Selected::Field { steps, of });
        }
        seen.append(&mut seen_here);
        if next.is_empty() {
            break;
        }
        level = next;
    }
    Ok(if is_struct { Selected::Missing(names) } else { Selected::NoStruct })
}

/// A struct, and the steps to it.
type Opened = (TypeRef, Arc<Type>, Vec<Step>);

/// The struct that is reached, through one pointer at most.
fn open(types: &dyn Types, reached: &Reached) -> Result<Option<Opened>, Gap> {
    let ty = types.get(reached.of)?;
    match ty.shape {
        Shape::Struct(_) => Ok(Some((reached.of, ty, reached.steps.clone()))),
        Shape::Pointer(to) => {
            let target = types.get(to)?;
            if !matches!(target.shape, Shape::Struct(_)) {
                return Ok(None);
            }
            let mut steps = reached.steps.clone();
            steps.push(Step::Target);
            Ok(Some((to, target, steps)))
        }
        _ => Ok(None),
    }
}

fn with(steps: &[Step], of: TypeRef, ty: &Arc<Type>, field: &Field) -> Vec<Step> {
    let mut steps = steps.to_vec();
    steps.push(Step::Field { field: field.clone(), of, ty: Arc::clone(ty) });
    steps
}
