//! All randomness of a run, from its seed.

/// splitmix64 (Steele, Lea, Flood 2014): the same numbers for the same seed, on every machine and for ever.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Two streams of one seed have nothing to do with each other.
    pub fn new(seed: u64, stream: u64) -> Random {
        let mut random = Random(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        random.draw();
        random
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `0..end`; `end` is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    pub fn between(&mut self, first: u64, end: u64) -> u64 {
        first + self.below(end - first)
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Spread over orders of magnitude: short ones are as frequent as long ones.
    pub fn spread(&mut self, first: u64, end: u64) -> u64 {
        let (low, high) = ((first.max(1) as f64).ln(), (end as f64).ln());
        let fraction = self.below(1 << 32) as f64 / (1u64 << 32) as f64;
        ((low + (high - low) * fraction).exp() as u64).clamp(first, end - 1)
    }
}
