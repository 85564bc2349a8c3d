//! The arguments of a call as Go's traceback prints them: `0xc000012345, {0x4a3b2c, 0x5}, 0x1?, ...`.
//!
//! The compiler leaves a small program for it with each function (`printArgs` in runtime/traceback.go, constants in
//! internal/abi): pairs of offset and size, and the bytes below.

use std::fmt::Write;

use crate::function_table::ArgumentInfo;
use crate::memory::Range;
use crate::unwind::StackBytes;

// @go const internal/abi.TraceArgsEndSeq = none (..1.22), 0xff (1.23..)
// @go const internal/abi.TraceArgsStartAgg = none (..1.22), 0xfe (1.23..)
// @go const internal/abi.TraceArgsEndAgg = none (..1.22), 0xfd (1.23..)
// @go const internal/abi.TraceArgsDotdotdot = none (..1.22), 0xfc (1.23..)
// @go const internal/abi.TraceArgsOffsetTooLarge = none (..1.22), 0xfb (1.23..)
// @go source runtime.printArgs
const END: u8 = 0xff;
const START_AGGREGATE: u8 = 0xfe;
const END_AGGREGATE: u8 = 0xfd;
const DOTDOTDOT: u8 = 0xfc;
const OFFSET_TOO_LARGE: u8 = 0xfb;
/// The compiler's limit (TraceArgsMaxLen): a longer program is damaged.
const PROGRAM_BYTES_MAX: usize = (10 + 1) * 2 + 5 * 2 + 1;

/// Appends to `out`. `first` is the address of the first argument; `index` says which are live. What touches one of the
/// `unknown` ranges is printed as `_`. `None`, and nothing appended, where the program is damaged or the stack's memory is
/// not there.
pub(crate) fn print(
    info: &ArgumentInfo<'_>,
    index: i32,
    first: u64,
    stack: &StackBytes<'_>,
    unknown: &[Range],
    out: &mut String,
) -> Option<()> {
    let start = out.len();
    let printed = program(info, index, first, stack, unknown, out);
    if printed.is_none() {
        out.truncate(start);
    }
    printed
}

fn program(
    info: &ArgumentInfo<'_>,
    index: i32,
    first: u64,
    stack: &StackBytes<'_>,
    unknown: &[Range],
    out: &mut String,
) -> Option<()> {
    // Offsets below this one are always live.
    let live_from = match info.liveness {
        Some(liveness) => *liveness.first()?,
        None => u8::MAX,
    };
    let mut slot = 0u8;
    let mut separate = false;
    let mut bytes = info.program.iter().take(PROGRAM_BYTES_MAX);
    loop {
        let operation = *bytes.next()?;
        if operation == END {
            return Some(());
        }
        if operation != END_AGGREGATE && separate {
            out.push_str(", ");
        }
        separate = operation != START_AGGREGATE;
        match operation {
            START_AGGREGATE => out.push('{'),
            END_AGGREGATE => out.push('}'),
            DOTDOTDOT => out.push_str("..."),
            OFFSET_TOO_LARGE => out.push('_'),
            offset => {
                let size = *bytes.next()?;
                let address = first.checked_add(u64::from(offset))?;
                let word = word(stack, address, size)?;
                let end = address.saturating_add(u64::from(size));
                if unknown.iter().any(|range| range.overlaps(address, end)) {
                    out.push('_');
                } else {
                    write!(out, "{word:#x}").ok()?;
                }
                if offset >= live_from {
                    if !is_live(info.liveness, index, slot)? {
                        out.push('?');
                    }
                    slot = slot.wrapping_add(1);
                }
            }
        }
    }
}

/// The words of each argument, as offset and size from the first argument's address. `None` where the program does not
/// tell of all of them, or is damaged.
pub(crate) fn slots(info: &ArgumentInfo<'_>) -> Option<Vec<Vec<(u8, u8)>>> {
    let mut slots: Vec<Vec<(u8, u8)>> = Vec::new();
    let mut depth = 0usize;
    let mut bytes = info.program.iter().take(PROGRAM_BYTES_MAX);
    loop {
        let operation = *bytes.next()?;
        if depth == 0 && operation != END {
            slots.push(Vec::new());
        }
        match operation {
            END => return (depth == 0).then_some(slots),
            START_AGGREGATE => depth += 1,
            END_AGGREGATE => depth = depth.checked_sub(1)?,
            DOTDOTDOT | OFFSET_TOO_LARGE => return None,
            offset => slots.last_mut()?.push((offset, *bytes.next()?)),
        }
    }
}

fn is_live(liveness: Option<&[u8]>, index: i32, slot: u8) -> Option<bool> {
    let Some(liveness) = liveness.filter(|_| index > 0) else { return Some(true) };
    let bits = liveness.get(usize::try_from(index).ok()? + usize::from(slot / 8))?;
    Some(bits & (1 << (slot % 8)) != 0)
}

/// An argument of `size` bytes, 1 to 8.
fn word(stack: &StackBytes<'_>, address: u64, size: u8) -> Option<u64> {
    let at = usize::try_from(address.checked_sub(stack.address)?).ok()?;
    let bytes = stack.bytes.get(at..at.checked_add(usize::from(size))?)?;
    let mut word = [0; 8];
    word.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(program: &[u8], liveness: Option<&[u8]>, index: i32) -> Option<String> {
        let bytes: Vec<u8> = (1..=64).collect();
        let mut out = String::new();
        let stack = StackBytes { address: 0x1000, bytes: &bytes };
        print(&ArgumentInfo { program, liveness }, index, 0x1000, &stack, &[], &mut out).map(|()| out)
    }

    #[test]
    fn aggregates_and_sizes_print_as_in_go() {
        let program = [
            0,
            8,
            START_AGGREGATE,
            8,
            1,
            START_AGGREGATE,
            END_AGGREGATE,
            10,
            2,
            END_AGGREGATE,
            DOTDOTDOT,
            END,
        ];
        assert_eq!(printed(&program, None, -1).unwrap(), "0x807060504030201, {0x9, {}, 0xc0b}, ...");
        assert_eq!(printed(&[OFFSET_TOO_LARGE, END], None, -1).unwrap(), "_");
    }

    #[test]
    fn dead_arguments_are_marked() {
        let program = [0, 1, 8, 1, 16, 1, END];
        // Arguments from offset 8 on have a bit each; at index 1 only the second of them is live.
        assert_eq!(printed(&program, Some(&[8, 0b10]), 1).unwrap(), "0x1, 0x9?, 0x11");
        assert_eq!(printed(&program, Some(&[8, 0b10]), -1).unwrap(), "0x1, 0x9, 0x11");
    }

    #[test]
    fn what_is_unknown_is_not_printed() {
        let info = ArgumentInfo { program: &[0, 8, 8, 8, 16, 8, END], liveness: None };
        let bytes = [1; 24];
        let stack = StackBytes { address: 0x1000, bytes: &bytes };
        let mut out = String::new();
        let unknown = [Range { address: 0x100f, length: 1 }];
        print(&info, -1, 0x1000, &stack, &unknown, &mut out).unwrap();
        assert_eq!(out, "0x101010101010101, _, 0x101010101010101");
    }

    #[test]
    fn slots_are_those_of_each_argument() {
        let slots = |program: &[u8]| slots(&ArgumentInfo { program, liveness: None });
        let program =
            [0, 8, START_AGGREGATE, 8, 8, START_AGGREGATE, END_AGGREGATE, 16, 1, END_AGGREGATE, 24, 4, END];
        assert_eq!(slots(&program).unwrap(), [vec![(0, 8)], vec![(8, 8), (16, 1)], vec![(24, 4)]]);
        assert_eq!(slots(&[0, 8, DOTDOTDOT, END]), None);
        assert_eq!(slots(&[START_AGGREGATE, 0, 8, END]), None);
        assert_eq!(slots(&[END_AGGREGATE, END]), None);
        assert_eq!(slots(&[0]), None);
    }

    #[test]
    fn damage_prints_nothing() {
        assert_eq!(printed(&[0, 8], None, -1), None);
        assert_eq!(printed(&[200, 8, END], None, -1), None);
        assert_eq!(printed(&[0, 9, END], None, -1), None);
        assert_eq!(printed(&[START_AGGREGATE; 1000], None, -1), None);
    }
}
