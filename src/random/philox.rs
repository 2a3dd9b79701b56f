//! Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): a counter based generator.
//! Any block of the stream is computed from its index alone, so each thread of a device draws without shared state.

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const KEY_STEPS: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;

/// The four words that `key` assigns to `counter`.
#[inline]
pub fn block(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
    let [mut k0, mut k1] = key;
    let [mut a, mut b, mut c, mut d] = counter;
    for _ in 0..ROUNDS {
        let low = MULTIPLIERS[0] as u64 * a as u64;
        let high = MULTIPLIERS[1] as u64 * c as u64;
        a = (high >> 32) as u32 ^ b ^ k0;
        c = (low >> 32) as u32 ^ d ^ k1;
        b = high as u32;
        d = low as u32;
        k0 = k0.wrapping_add(KEY_STEPS[0]);
        k1 = k1.wrapping_add(KEY_STEPS[1]);
    }
    [a, b, c, d]
}

/// The state a device generator saves: a seed, and how many words each of its threads has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Philox {
    seed: u64,
    offset: u64,
}

/// Bytes of a saved device state.
pub const STATE_BYTES: usize = 16;

impl Philox {
    /// A stream at offset 0.
    pub fn new(seed: u64) -> Self {
        Philox { seed, offset: 0 }
    }

    /// The seed of the stream.
    pub fn initial_seed(&self) -> u64 {
        self.seed
    }

    /// Words already used by each thread; a multiple of 4.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reserves `words` draws per thread for one kernel, rounded up to whole blocks, and returns the key and the
    /// index of the first block. Thread `t` reads `block(key, [i, i >> 32, t, t >> 32])` for block index `i`.
    pub fn reserve(&mut self, words: u64) -> ([u32; 2], u64) {
        let first = self.offset / 4;
        self.offset += words.div_ceil(4) * 4;
        ([self.seed as u32, (self.seed >> 32) as u32], first)
    }

    /// The four words of block `index` of thread `thread`.
    pub fn words(&self, index: u64, thread: u64) -> [u32; 4] {
        block(
            [self.seed as u32, (self.seed >> 32) as u32],
            [
                index as u32,
                (index >> 32) as u32,
                thread as u32,
                (thread >> 32) as u32,
            ],
        )
    }

    /// The saved state: seed, then offset, little endian.
    pub fn get_state(&self) -> [u8; STATE_BYTES] {
        let mut bytes = [0; STATE_BYTES];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..].copy_from_slice(&self.offset.to_le_bytes());
        bytes
    }

    /// Restores a saved state.
    pub fn set_state(&mut self, bytes: &[u8; STATE_BYTES]) {
        self.seed = u64::from_le_bytes(std::array::from_fn(|i| bytes[i]));
        self.offset = u64::from_le_bytes(std::array::from_fn(|i| bytes[8 + i]));
    }
}

/// A uniform value in (0, 1] from one word, the convention of device kernels (0 would break a logarithm).
#[inline]
pub fn unit_open_low(word: u32) -> f32 {
    word as f32 * (1.0 / 4_294_967_296.0) + (0.5 / 4_294_967_296.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_check_values() {
        assert_eq!(
            block([0; 2], [0; 4]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            block([u32::MAX; 2], [u32::MAX; 4]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            block(
                [0xa409_3822, 0x299f_31d0],
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn reservations_do_not_overlap() {
        let mut stream = Philox::new(7 << 33 | 5);
        let (key, first) = stream.reserve(5);
        assert_eq!((key, first), ([5, 14], 0));
        assert_eq!(stream.reserve(1).1, 2);
        let mut copy = Philox::new(0);
        copy.set_state(&stream.get_state());
        assert_eq!(copy, stream);
    }
}
