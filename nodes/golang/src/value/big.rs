//! `math/big.Int`, in digits.

use crate::gap::Gap;
use crate::place::Place;
use crate::types::Type;
use crate::value::buffer::View;
use crate::value::reader::SliceHeader;
use crate::value::{Reader, Value};

/// Larger numbers are not written in digits: that takes time by the square of their length.
const WORDS_MAX: u64 = 512;
/// The most decimal digits that a word holds.
const CHUNK: u64 = 10_000_000_000_000_000_000;
const CHUNK_DIGITS: usize = 19;

impl Reader<'_> {
    /// A sign, and words, least significant first, without leading zeros (math/big/int.go, nat.go).
    pub(super) fn big_int(&self, view: View<'_>, ty: &Type) -> Result<Value, Gap> {
        let negative = match self.number(view, ty, "neg")? {
            0 => false,
            1 => true,
            other => return Err(Gap::Implausible(format!("a bool of {other}"))),
        };
        let words = SliceHeader::read(self.part(view, ty, "abs")?.0)?;
        if words.length == 0 {
            return Ok(Value::Text("0".to_owned()));
        }
        if words.length > WORDS_MAX {
            return Err(Gap::Bytes { shown: 0, length: words.length.saturating_mul(8) });
        }
        let buffer = self.read(&Place::At(words.data), 8 * words.length)?;
        let mut number = Vec::with_capacity(words.length as usize);
        for i in 0..words.length {
            number.push(buffer.view().word(8 * i)?);
        }
        if number.last() == Some(&0) {
            return Err(Gap::Implausible("a big.Int with leading zeros".into()));
        }
        let digits = decimal(number);
        Ok(Value::Text(if negative { format!("-{digits}") } else { digits }))
    }
}

/// Words, least significant first, in decimal digits.
fn decimal(mut number: Vec<u64>) -> String {
    let mut chunks = Vec::new();
    while !number.is_empty() {
        let mut rest = 0u64;
        for word in number.iter_mut().rev() {
            let dividend = u128::from(rest) << 64 | u128::from(*word);
            *word = (dividend / u128::from(CHUNK)) as u64;
            rest = (dividend % u128::from(CHUNK)) as u64;
        }
        chunks.push(rest);
        while number.last() == Some(&0) {
            number.pop();
        }
    }
    let mut chunks = chunks.into_iter().rev();
    let first = chunks.next().unwrap_or(0).to_string();
    chunks.fold(first, |digits, chunk| format!("{digits}{chunk:0CHUNK_DIGITS$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn digits_are_those_of_the_number(number: u128) {
            let words = vec![number as u64, (number >> 64) as u64];
            prop_assert_eq!(decimal(words), number.to_string());
        }
    }

    #[test]
    fn long_numbers_have_all_digits() {
        // 2^192
        let digits = "6277101735386680763835789423207666416102355444464034512896";
        assert_eq!(decimal(vec![0, 0, 0, 1]), digits);
    }
}
