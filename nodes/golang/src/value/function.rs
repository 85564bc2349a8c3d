//! Function values: the function's name, and what a closure has captured.

use crate::gap::Gap;
use crate::place::Place;
use crate::runtime::Runtime;
use crate::types::TypeRef;
use crate::value::facts::{Captured, Code};
use crate::value::reader::{Walk, check_address};
use crate::value::{Reader, Value};

impl Reader<'_> {
    /// A variable that the closure at a place has captured: where it is, and its type.
    pub fn captured(&self, place: &Place, name: &str) -> Result<(Place, TypeRef), Gap> {
        let closure = self.pointer(place)?;
        if closure == 0 {
            return Err(Gap::NilPointer);
        }
        let pc = self.pointer(&Place::At(closure))?;
        let code = self.code.function(pc);
        let code = code.ok_or_else(|| Gap::Implausible(format!("no function begins at {pc:#x}")))?;
        let captured = self.code.captured(pc);
        let found = captured.iter().find(|captured| captured.name == name);
        // Before Go 1.23 debug information does not tell.
        let found =
            found.ok_or_else(|| Gap::Expression(format!("{code} is not known to have captured {name}")))?;
        let place = Place::At(closure.wrapping_add(found.offset));
        Ok((if found.by_reference { self.target(&place)? } else { place }, found.of))
    }

    /// A function value is a pointer to a closure, which begins with the address of its code (runtime/runtime2.go,
    /// `funcval`).
    //
    // @go offset runtime.funcval.fn = 0
    pub(super) fn function(&self, closure: u64, walk: &mut Walk) -> Result<Value, Gap> {
        if closure == 0 {
            return Ok(Value::Nil);
        }
        check_address(closure)?;
        let pc = self.read(&Place::At(closure), 8)?.view().word(0)?;
        let name = self.code.function(pc);
        let name = name.ok_or_else(|| Gap::Implausible(format!("no function begins at {pc:#x}")))?;
        let captured = self.code.captured(pc);
        if captured.is_empty() {
            return Ok(Value::Function { name, captured: Vec::new() });
        }
        let values = walk.open(|walk| {
            let each = captured.iter().map(|variable| {
                let at = closure.wrapping_add(variable.offset);
                let value = match variable.by_reference {
                    false => self.at(&Place::At(at), variable.of, walk),
                    true => {
                        let pointer = self.read(&Place::At(at), 8).and_then(|buffer| buffer.view().word(0));
                        let value = pointer.and_then(|address| self.follow(address, variable.of, walk));
                        value.unwrap_or_else(Value::Missing)
                    }
                };
                (variable.name.clone(), value)
            });
            Ok(each.collect())
        });
        Ok(match values {
            Ok(captured) => Value::Function { name, captured },
            Err(gap) => Value::cut(Value::Function { name, captured: Vec::new() }, gap),
        })
    }
}

/// The names of functions, as the program's function table has them. What closures have captured it does not know.
pub struct FunctionNames<'a>(pub &'a Runtime<'a>);

impl Code for FunctionNames<'_> {
    fn function(&self, pc: u64) -> Option<String> {
        let FunctionNames(runtime) = self;
        let offset = runtime.offset(pc)?;
        let function = runtime.functions.find(offset).filter(|function| function.entry == offset)?;
        Some(runtime.functions.name(&function).to_owned())
    }

    fn captured(&self, _: u64) -> Vec<Captured> {
        Vec::new()
    }
}
