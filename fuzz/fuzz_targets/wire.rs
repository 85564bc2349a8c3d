//! Any bytes as a frame of each kind. What decodes says the same again, in no more bytes.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use stillframe_wire::batch::Batch;
use stillframe_wire::codec::{CodecError, LENGTH_BYTES, decode, encode, frame_length};
use stillframe_wire::limits::FRAME_BYTES_MAX;
use stillframe_wire::message::{StreamHead, ToCoordinator, ToNode};

/// bincode takes an integer that is written longer than it need be, so that the bytes themselves may differ.
fn check<T: Debug + PartialEq>(
    body: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, CodecError>,
    encode: impl Fn(&T) -> Result<Vec<u8>, CodecError>,
) -> Option<T> {
    let value = decode(body).ok()?;
    let again = encode(&value).expect("what came in a frame fits into one");
    assert!(again.len() <= body.len());
    assert_eq!(decode(&again).expect("what was encoded decodes"), value);
    Some(value)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((head, body)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return };
    if let Ok(length) = frame_length(*head, FRAME_BYTES_MAX) {
        assert!((1..=FRAME_BYTES_MAX).contains(&length));
    }
    if let Some(message) = check(body, decode::<ToNode>, encode) {
        let _ = message.check();
    }
    if let Some(message) = check(body, decode::<ToCoordinator>, encode) {
        let _ = message.check();
    }
    check(body, decode::<StreamHead>, encode);
    check(body, decode::<Batch>, encode);
});
