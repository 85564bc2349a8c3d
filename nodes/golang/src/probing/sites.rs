//! What probes want of the frames at one program counter: looked up once, before the pause where possible.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::probe::Probe;
use crate::unwind::PhysicalFrame;
use crate::variable::FrameVariables;

use super::captured::{Problem, Table};

/// Of one program counter.
pub(super) struct Site {
    /// Frames that the source has there, inlined calls included.
    pub(super) calls: u32,
    pub(super) captures: Vec<Capture>,
}

/// One probe's interest in one frame.
pub(super) struct Capture {
    pub(super) table: u32,
    /// Which of the site's frames, from the innermost.
    pub(super) inner: u32,
    pub(super) variables: FrameVariables,
    pub(super) columns: Vec<Column>,
}
