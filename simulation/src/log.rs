//! What happened in a run, line by line: a digest of all of it, and the last lines or all lines.

use std::collections::VecDeque;
use std::fmt::{Arguments, Write};

/// Lines that a failing run shows.
pub const LAST_LINES: usize = 60;

#[derive(Debug)]
pub struct Log {
    digest: u64,
    lines: u64,
    kept: VecDeque<String>,
    keep: usize,
}

impl Log {
    /// `keep`: how many of the last lines are kept.
    pub fn new(keep: usize) -> Log {
        Log { digest: 0xcbf2_9ce4_8422_2325, lines: 0, kept: VecDeque::new(), keep }
    }

    pub fn line(&mut self, at_ns: u64, text: Arguments) {
        // A line that falls out lends its memory to the new one.
        let mut line = if self.kept.len() >= self.keep {
            self.kept.pop_front().unwrap_or_default()
        } else {
            String::new()
        };
        line.clear();
        let (s, ns) = (at_ns / crate::SECOND, at_ns % crate::SECOND);
        write!(line, "{s:4}.{ns:09} {text}").expect("a String takes everything");
        // FNV-1a over words instead of bytes: it only has to tell two logs apart.
        for word in line.as_bytes().chunks(8) {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            self.digest =
                (self.digest ^ u64::from_le_bytes(bytes)).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
        }
        self.lines += 1;
        self.kept.push_back(line);
    }

    /// Of every byte of every line.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    pub fn lines(&self) -> u64 {
        self.lines
    }

    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(String::as_str)
    }
}
