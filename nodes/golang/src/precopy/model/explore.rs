//! How a run goes on where it may go on in several ways: all ways, one after the other, or by chance.

/// Chooses one of `options`, which is at least one.
pub(super) trait Chooser {
    fn choose(&mut self, options: usize) -> usize;
}

/// All ways: each run takes the next one, until there are no more.
#[derive(Default)]
pub(super) struct All {
    /// What was chosen, of how many.
    trail: Vec<(usize, usize)>,
    at: usize,
}

impl All {
    /// Prepares the next run; false: this was the last one.
    pub(super) fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((chosen, options)) = self.trail.pop() {
            if chosen + 1 < options {
                self.trail.push((chosen + 1, options));
                return true;
            }
        }
        false
    }
}

impl Chooser for All {
    fn choose(&mut self, options: usize) -> usize {
        if self.at == self.trail.len() {
            self.trail.push((0, options));
        }
        let (chosen, of) = self.trail[self.at];
        assert_eq!(of, options, "the same choices lead to the same place");
        self.at += 1;
        chosen
    }
}

/// By chance (splitmix64).
pub(super) struct Chance(pub(super) u64);

impl Chooser for Chance {
    fn choose(&mut self, options: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) % options as u64) as usize
    }
}

#[test]
fn all_ways_are_taken_once() {
    let mut all = All::default();
    let mut ways = Vec::new();
    loop {
        let first = all.choose(3);
        let second = if first == 1 { all.choose(2) } else { 0 };
        ways.push((first, second));
        if !all.next() {
            break;
        }
    }
    assert_eq!(ways, [(0, 0), (1, 0), (1, 1), (2, 0)]);
}
