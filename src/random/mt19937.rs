//! The 32-bit Mersenne Twister (Matsumoto and Nishimura, 1998), produced one block of 624 words at a time.

use super::multiversion;

/// Words in the state, and words produced per refill.
pub const STATE_WORDS: usize = 624;
/// Distance between the two words that one step of the recurrence combines.
const SHIFT: usize = 397;
const TWIST: u32 = 0x9908_b0df;
const UPPER: u32 = 0x8000_0000;
const LOWER: u32 = 0x7fff_ffff;

/// Mersenne Twister whose bookkeeping (`left`, `next`) is that of PyTorch's saved state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mt19937 {
    pub(super) seed: u64,
    /// Words still to hand out, plus one: 1 means that the next draw refills.
    pub(super) left: u32,
    /// Index of the next word to hand out.
    pub(super) next: u32,
    pub(super) state: [u32; STATE_WORDS],
}

impl Mt19937 {
    /// Seeds the engine. Only the low 32 bits reach the state; the whole value is remembered as the seed.
    pub fn new(seed: u64) -> Self {
        let mut state = [0u32; STATE_WORDS];
        let mut word = seed as u32;
        state[0] = word;
        for (i, slot) in state.iter_mut().enumerate().skip(1) {
            word = 1_812_433_253u32
                .wrapping_mul(word ^ (word >> 30))
                .wrapping_add(i as u32);
            *slot = word;
        }
        Mt19937 {
            seed,
            left: 1,
            next: 0,
            state,
        }
    }

    /// The seed given to [`Mt19937::new`].
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The next 32 random bits.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        if self.left == 1 {
            self.refill();
        } else {
            self.left -= 1;
        }
        let word = self.state[self.next as usize % STATE_WORDS];
        self.next += 1;
        temper(word)
    }

    /// Fills `out` with the words that as many calls of [`Mt19937::next_u32`] return.
    pub fn fill(&mut self, mut out: &mut [u32]) {
        while !out.is_empty() {
            if self.left == 1 {
                // One draw belongs to the refill itself, so `left` is kept one above the words that remain.
                self.refill();
                self.left += 1;
            }
            let start = (self.next as usize).min(STATE_WORDS);
            let ready = ((self.left - 1) as usize).min(STATE_WORDS - start);
            if ready == 0 {
                // A restored state may end its block early; a refill is what the scalar path would do next.
                self.left = 1;
                continue;
            }
            let take = ready.min(out.len());
            let (head, tail) = out.split_at_mut(take);
            temper_into(&self.state[start..start + take], head);
            self.left -= take as u32;
            self.next += take as u32;
            out = tail;
        }
    }

    fn refill(&mut self) {
        twist(&mut self.state);
        self.left = STATE_WORDS as u32;
        self.next = 0;
    }
}

#[inline(always)]
fn mix(high: u32, low: u32) -> u32 {
    let joined = (high & UPPER) | (low & LOWER);
    (joined >> 1) ^ ((low & 1).wrapping_neg() & TWIST)
}

#[inline(always)]
fn temper(mut y: u32) -> u32 {
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c_5680;
    y ^= (y << 15) & 0xefc6_0000;
    y ^ (y >> 18)
}

multiversion! {
    /// Advances the whole state by one block. The loops are cut where the source word changes sides, so that
    /// within each the words read and the words written are at least 227 apart and the loop runs in lanes.
    fn twist(state: &mut [u32; STATE_WORDS]) {
        const FRONT: usize = STATE_WORDS - SHIFT;
        for i in 0..FRONT {
            state[i] = state[i + SHIFT] ^ mix(state[i], state[i + 1]);
        }
        for i in FRONT..2 * FRONT {
            state[i] = state[i - FRONT] ^ mix(state[i], state[i + 1]);
        }
        for i in 2 * FRONT..STATE_WORDS - 1 {
            state[i] = state[i - FRONT] ^ mix(state[i], state[i + 1]);
        }
        state[STATE_WORDS - 1] = state[SHIFT - 1] ^ mix(state[STATE_WORDS - 1], state[0]);
    }
}

multiversion! {
    fn temper_into(words: &[u32], out: &mut [u32]) {
        for (slot, &word) in out.iter_mut().zip(words) {
            *slot = temper(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_words_are_those_of_the_reference_algorithm() {
        let mut engine = Mt19937::new(5489);
        assert_eq!(engine.next_u32(), 3_499_211_612);
        for _ in 1..9_999 {
            engine.next_u32();
        }
        // The ten thousandth word of the default seed, a published check value.
        assert_eq!(engine.next_u32(), 4_123_659_995);
    }

    #[test]
    fn blocks_and_single_draws_are_one_stream() {
        for lead in [0usize, 1, 300, 623, 624, 625] {
            for len in [0usize, 1, 2, 623, 624, 625, 2000] {
                let mut single = Mt19937::new(42);
                let mut block = Mt19937::new(42);
                for _ in 0..lead {
                    assert_eq!(single.next_u32(), block.next_u32());
                }
                let mut words = vec![0; len];
                block.fill(&mut words);
                for word in words {
                    assert_eq!(word, single.next_u32());
                }
                assert_eq!(single.next_u32(), block.next_u32());
                assert_eq!(single, block);
            }
        }
    }
}
