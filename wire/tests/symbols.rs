//! The bytes of the messages about debug information, kept: see `golden.rs`.

use stillframe_wire::codec::{decode, encode};
use stillframe_wire::symbols::{BUILD_ID_BYTES_MAX, SYMBOLS_FRAME_BYTES_MAX, SymbolsAnswer, SymbolsRequest};

#[test]
fn the_bytes_are_those_that_other_versions_know() {
    let request = SymbolsRequest { version: 1, build_id: "abcd".into() };
    assert_eq!(encode(&request).unwrap(), *b"\x01\x04abcd");
    let answers = [
        (SymbolsAnswer::File { bytes: 300 }, &b"\x00\xfb\x2c\x01"[..]),
        (SymbolsAnswer::Absent, b"\x01"),
        (SymbolsAnswer::Refused { reason: "why".into() }, b"\x02\x03why"),
    ];
    for (answer, bytes) in answers {
        assert_eq!(encode(&answer).unwrap(), bytes);
        assert_eq!(decode::<SymbolsAnswer>(bytes).unwrap(), answer);
    }
}

#[test]
fn an_id_has_a_bound_and_the_longest_one_fits_a_frame() {
    let request = |length| SymbolsRequest { version: u32::MAX, build_id: "a".repeat(length) };
    assert!(request(BUILD_ID_BYTES_MAX).check().is_ok());
    assert!(request(BUILD_ID_BYTES_MAX + 1).check().is_err());
    assert!(encode(&request(BUILD_ID_BYTES_MAX)).unwrap().len() <= SYMBOLS_FRAME_BYTES_MAX);
}
