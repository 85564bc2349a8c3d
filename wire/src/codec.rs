//! How a message becomes bytes: bincode with a limit, in frames of a length and a body.
//!
//! A frame is the length of its body (u32, little-endian) and the body. Whoever reads one compares the length with the
//! limit of that stream before it allocates anything: [`frame_length`].
//!
//! bincode's own limit bounds what decoding allocates; without it nine hostile bytes abort the process. It knows nothing
//! of what follows a value, so [`decode`] compares the consumed length itself. No type on the wire is recursive: a limit
//! would not keep those from overflowing the stack.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};
use thiserror::Error;

use crate::limits::{DECODED_BYTES_MAX, FRAME_BYTES_MAX};

/// Bytes of a frame's length.
pub const LENGTH_BYTES: usize = 4;

type Config = Configuration<LittleEndian, Varint, Limit<DECODED_BYTES_MAX>>;

const CONFIG: Config = bincode::config::standard().with_limit::<DECODED_BYTES_MAX>();

/// Bytes that are no message of this version.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    #[error("a frame of {length} bytes is longer than the {limit} that one may have")]
    TooLong { length: u64, limit: usize },
    #[error("an empty frame")]
    Empty,
    #[error("not a message of this version: {0}")]
    Malformed(String),
    #[error("{0} bytes follow the message in its frame")]
    Trailing(usize),
}

/// The body of a frame.
pub fn encode<T: Encode>(value: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = bincode::encode_to_vec(value, bincode::config::standard())
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    match bytes.len() {
        length if length > FRAME_BYTES_MAX => {
            Err(CodecError::TooLong { length: length as u64, limit: FRAME_BYTES_MAX })
        }
        _ => Ok(bytes),
    }
}

/// A whole frame: length and body.
pub fn encode_frame<T: Encode>(value: &T) -> Result<Vec<u8>, CodecError> {
    let body = encode(value)?;
    let mut frame = Vec::with_capacity(LENGTH_BYTES + body.len());
    frame.extend((body.len() as u32).to_le_bytes());
    frame.extend(body);
    Ok(frame)
}

/// The value that a frame's body holds, and nothing else.
pub fn decode<T: Decode<()>>(body: &[u8]) -> Result<T, CodecError> {
    let (value, consumed) = bincode::decode_from_slice::<T, _>(body, CONFIG)
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    match body.len() - consumed {
        0 => Ok(value),
        trailing => Err(CodecError::Trailing(trailing)),
    }
}

/// The length of a frame's body from its first bytes, at most `limit`.
pub fn frame_length(head: [u8; LENGTH_BYTES], limit: usize) -> Result<usize, CodecError> {
    match u32::from_le_bytes(head) {
        0 => Err(CodecError::Empty),
        length if length as usize > limit => Err(CodecError::TooLong { length: length.into(), limit }),
        length => Ok(length as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_lies_is_refused_before_anything_is_allocated() {
        assert_eq!(frame_length([5, 0, 0, 0], 5), Ok(5));
        assert_eq!(frame_length([6, 0, 0, 0], 5), Err(CodecError::TooLong { length: 6, limit: 5 }));
        assert_eq!(frame_length([0; 4], 5), Err(CodecError::Empty));
        assert!(frame_length([0xff; 4], FRAME_BYTES_MAX).is_err());
        // A list that says it has 2^63 strings.
        let hostile = [253, 0, 0, 0, 0, 0, 0, 0, 0x80];
        assert!(matches!(decode::<Vec<String>>(&hostile), Err(CodecError::Malformed(_))));
    }

    #[test]
    fn nothing_may_follow_a_message() {
        let mut body = encode(&7u64).unwrap();
        assert_eq!(decode::<u64>(&body), Ok(7));
        body.push(0);
        assert_eq!(decode::<u64>(&body), Err(CodecError::Trailing(1)));
    }
}
