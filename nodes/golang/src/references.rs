//! Which fixed addresses a function's code refers to: how variables are found in an executable without symbols.
//!
//! amd64: operands relative to the instruction pointer. arm64: ADRP, which gives a page, with an ADD or a load of the
//! register that it has set right behind it, as Go's assembler writes them (cmd/internal/obj/arm64, "adrp").

use iced_x86::{Code, Decoder, DecoderOptions};

use crate::bytes::u32_at;
use crate::executable::Architecture;

/// One use of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) address: u64,
    pub(crate) access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Its value is loaded into a register: so many bytes.
    Load(usize),
    /// The address itself is taken.
    Address,
}

/// In the order of the code. `pc`: the address of the first byte. Bytes that are no instructions end the list.
pub(crate) fn references(architecture: Architecture, code: &[u8], pc: u64) -> Vec<Reference> {
    match architecture {
        Architecture::Amd64 => amd64(code, pc),
        Architecture::Arm64 => arm64(code, pc),
    }
}

fn amd64(code: &[u8], pc: u64) -> Vec<Reference> {
    let mut found = Vec::new();
    for instruction in Decoder::with_ip(64, code, pc, DecoderOptions::NONE) {
        if instruction.is_invalid() {
            break;
        }
        let access = match instruction.code() {
            Code::Lea_r64_m => Access::Address,
            Code::Mov_r32_rm32 => Access::Load(4),
            Code::Mov_r64_rm64 => Access::Load(8),
            _ => continue,
        };
        if !instruction.is_ip_rel_memory_operand() {
            continue;
        }
        found.push(Reference { address: instruction.ip_rel_memory_address(), access });
    }
    found
}

/// What the instruction before has left in a register.
#[derive(Clone, Copy)]
enum Left {
    Page(u32, u64),
    Address(u32, u64),
}

/// Encodings: Arm Architecture Reference Manual for A-profile, C6.2 (ADRP, ADD (immediate), LDR (immediate), LDAR).
fn arm64(code: &[u8], pc: u64) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut left = None;
    for (i, word) in code.chunks_exact(4).filter_map(|word| u32_at(word, 0)).enumerate() {
        let pc = pc.wrapping_add(4 * i as u64);
        let (target, base, immediate) = (word & 31, word >> 5 & 31, u64::from(word >> 10 & 0xfff));
        let mut refer = |address: u64, access| found.push(Reference { address, access });
        left = match (word, left.take()) {
            (_, _) if word & 0x9f00_0000 == 0x9000_0000 => {
                let pages = i64::from((word >> 5 & 0x7_ffff) << 2 | word >> 29 & 3) << 43 >> 43;
                Some(Left::Page(target, (pc & !0xfff).wrapping_add_signed(pages << 12)))
            }
            (_, Some(Left::Page(of, page))) if of == base && word & 0xffc0_0000 == 0x9100_0000 => {
                let address = page.wrapping_add(immediate);
                refer(address, Access::Address);
                Some(Left::Address(target, address))
            }
            // LDR (immediate, unsigned offset), 32 and 64 bits.
            (_, Some(Left::Page(of, page))) if of == base && word & 0xbfc0_0000 == 0xb940_0000 => {
                let size = 4 << (word >> 30 & 1);
                refer(page.wrapping_add(immediate * size), Access::Load(size as usize));
                None
            }
            // LDAR, 32 and 64 bits.
            (_, Some(Left::Address(of, address))) if of == base && word & 0xbfff_fc00 == 0x88df_fc00 => {
                refer(address, Access::Load(4 << (word >> 30 & 1)));
                None
            }
            _ => None,
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amd64_references_are_relative_to_the_next_instruction() {
        // mov rcx, [rip+0x10]; lea rax, [rip-0x20]; mov eax, [rip+1]; cmp dword [rip+4], 0; ud2
        let code = [
            0x48, 0x8b, 0x0d, 0x10, 0, 0, 0, 0x48, 0x8d, 0x05, 0xe0, 0xff, 0xff, 0xff, 0x8b, 0x05, 1, 0, 0,
            0, 0x83, 0x3d, 4, 0, 0, 0, 0,
        ];
        let expected = [(0x1017, Access::Load(8)), (0xfee, Access::Address), (0x1015, Access::Load(4))];
        let expected = expected.map(|(address, access)| Reference { address, access });
        assert_eq!(references(Architecture::Amd64, &code, 0x1000), expected);
    }

    #[test]
    fn arm64_references_are_a_page_and_an_offset() {
        // runtime.forEachGRace of Go 1.21: adrp x1, +0x149000; add x1, x1, 2808; ldar x1, [x1]; and runtime.mcommoninit:
        // adrp x27; ldr x2, [x27, 2528]
        let words = [0xb000_0a41u32, 0x912b_e021, 0xc8df_fc21, 0xb000_08bb, 0xf944_f362];
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let (first, second) = (0x10000 + 0x149000 + 2808, 0x10000 + 0x115000 + 2528);
        let expected = [(first, Access::Address), (first, Access::Load(8)), (second, Access::Load(8))];
        let expected = expected.map(|(address, access)| Reference { address, access });
        assert_eq!(references(Architecture::Arm64, &code, 0x10000), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_have_no_more_references_than_bytes(
            code in proptest::collection::vec(any::<u8>(), 0..200), pc: u64, arm64: bool
        ) {
            let architecture = if arm64 { Architecture::Arm64 } else { Architecture::Amd64 };
            prop_assert!(references(architecture, &code, pc).len() <= code.len());
        }
    }
}
