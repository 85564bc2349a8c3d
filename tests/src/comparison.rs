//! What Go prints of a process beside what Stillframe does: goroutine by goroutine, and why some could not be compared.

use stillframe_wire::facts::ProcessFacts;

use crate::traceback::{self as go, is_parked_state};

/// Of one process and one text.
#[derive(Default)]
pub struct Comparison {
    pub goroutines: usize,
    pub frames: usize,
    /// Goroutines with elided frames, and with minutes in their header, among those compared.
    pub elided: usize,
    pub aged: usize,
    /// goid, and why it was not compared.
    pub not_compared: Vec<(u64, String)>,
    pub differences: Vec<String>,
}

impl Comparison {
    pub fn differ(
        &mut self,
        goid: u64,
        what: &str,
        captured: impl std::fmt::Debug,
        go: impl std::fmt::Debug,
    ) {
        self.differences
            .push(format!("goroutine {goid}: {what}:\n  captured {captured:?}\n  Go       {go:?}"));
    }

    pub fn counted(&mut self, goroutine: &go::Goroutine) {
        self.goroutines += 1;
        self.frames += goroutine.frames.len();
        self.elided += usize::from(goroutine.elided.is_some());
        self.aged += usize::from(goroutine.header.contains(" minutes"));
    }
}

/// What must hold of every capture of a program that stands still.
pub fn check_capture(facts: &ProcessFacts, comparison: &mut Comparison) {
    for gap in &facts.gaps {
        comparison.differences.push(format!("a gap: {:?} {}: {}", gap.goid, gap.what, gap.reason));
    }
    for goroutine in &facts.goroutines {
        let stop = &facts.stacks[goroutine.stack as usize].stop_reason;
        if stop != "complete" {
            comparison.differ(goroutine.goid, "stack", stop, "complete");
        }
    }
}

/// Dumps before and after Go's text, and that text between: byte by byte where the goroutine did not move.
pub fn compare_text(
    before: &go::Goroutine,
    after: &go::Goroutine,
    go: &go::Goroutine,
    comparison: &mut Comparison,
) {
    let ran = if delivers_signals(go) {
        Some("it delivered the signal that asked for the text".into())
    } else {
        moved(&before.header, &after.header, go, before.text != after.text)
    };
    if let Some(why) = ran {
        comparison.not_compared.push((go.goid, why));
        return;
    }
    comparison.counted(go);
    if before.text != go.text {
        comparison.differ(go.goid, "text", &before.text, &go.text);
    }
}

/// Go's goroutine that hands signals to the program: a signal that asks for a text wakes it, and its wait starts anew.
/// A collection may then give it the age that it had before (`markroot` in runtime/mgcmark.go sets `waitsince` to the
/// start of the cycle before), so that two captures look the same.
fn delivers_signals(go: &go::Goroutine) -> bool {
    go.frames.first().is_some_and(|f| f.function == "os/signal.signal_recv")
}

/// Why a goroutine was not parked at both moments; `None` if it was. What the capture says is believed only where Go
/// or a second capture says so, too.
pub fn moved(first: &str, second: &str, go: &go::Goroutine, changed: bool) -> Option<String> {
    if !go.is_parked() {
        return Some(format!("Go printed it as {}; captured as {second}", go.header));
    }
    let (first_state, second_state) = (go::state(first), go::state(second));
    if !is_parked_state(first_state) || !is_parked_state(second_state) {
        return Some(format!("captured as {first}, then {second}; Go printed {}", go.header));
    }
    (changed || first_state != second_state)
        .then(|| format!("changed between two captures: {first}, then {second}; Go printed {}", go.header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_go_or_a_second_capture_says_excuses_a_goroutine() {
        let go = |header: &str| go::Goroutine { header: header.into(), ..go::Goroutine::default() };
        let parked = go("[select]");
        assert_eq!(moved("[select]", "[select]", &parked, false), None);
        // Wrong in both captures: no excuse, a difference.
        assert_eq!(moved("[chan receive]", "[chan receive]", &parked, false), None);
        assert_eq!(moved("[select, 1 minutes]", "[select, 2 minutes]", &parked, false), None);
        assert!(moved("[select]", "[select]", &go("[running]"), false).is_some());
        assert!(moved("[chan receive]", "[select]", &parked, false).is_some());
        assert!(moved("[runnable]", "[select]", &parked, false).is_some());
        assert!(moved("[select]", "[select]", &parked, true).is_some());
    }
}
