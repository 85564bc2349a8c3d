//! The call instructions of a function: where a frame of it can stand below another.

use std::ops::Range;

use iced_x86::{Code, Decoder, DecoderOptions};

use crate::bytes::u32_at;
use crate::executable::{Architecture, Executable};

/// Of one function; longer ones are looked into so far.
const CODE_BYTES_MAX: u64 = 4 << 20;
const CALLS_MAX: usize = 1 << 16;

/// Return addresses of the calls in the code at `code`, all as addresses of the file, ascending.
pub(crate) fn return_addresses(executable: &Executable, code: Range<u64>) -> Vec<u64> {
    let bytes = executable.from_address(code.start).unwrap_or_default();
    let length = code.end.saturating_sub(code.start).min(CODE_BYTES_MAX).min(bytes.len() as u64) as usize;
    let bytes = &bytes[..length];
    match executable.architecture {
        Architecture::Amd64 => amd64(bytes, code.start),
        Architecture::Arm64 => arm64(bytes, code.start),
    }
}

fn amd64(code: &[u8], pc: u64) -> Vec<u64> {
    let calls = Decoder::with_ip(64, code, pc, DecoderOptions::NONE)
        .into_iter()
        .take_while(|instruction| !instruction.is_invalid())
        .filter(|i| matches!(i.code(), Code::Call_rel32_64 | Code::Call_rm64))
        .map(|instruction| instruction.next_ip());
    calls.take(CALLS_MAX).collect()
}

/// BL and BLR (Arm Architecture Reference Manual for A-profile, C6.2).
fn arm64(code: &[u8], pc: u64) -> Vec<u64> {
    let words = code.chunks_exact(4).filter_map(|word| u32_at(word, 0)).enumerate();
    let calls = words
        .filter(|&(_, word)| word & 0xfc00_0000 == 0x9400_0000 || word & 0xffff_fc1f == 0xd63f_0000)
        .map(|(i, _)| pc.wrapping_add(4 * (i as u64 + 1)));
    calls.take(CALLS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_jumps() {
        // call +0; jmp +0; call rax; ret.
        let code = [0xe8, 0, 0, 0, 0, 0xe9, 0, 0, 0, 0, 0xff, 0xd0, 0xc3];
        assert_eq!(amd64(&code, 0x1000), [0x1005, 0x100c]);
        // bl .; b .; blr x3; ret.
        let words: [u32; 4] = [0x9400_0000, 0x1400_0000, 0xd63f_0060, 0xd65f_03c0];
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(arm64(&code, 0x1000), [0x1004, 0x100c]);
    }
}
