//! The host random generator: an engine, the values it keeps between calls, and its saved form.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use super::mt19937::{Mt19937, STATE_WORDS};

/// Seed of a generator that was never seeded.
pub const DEFAULT_SEED: u64 = 67_280_421_310_721;

/// Bytes of a saved state.
pub const STATE_BYTES: usize = LEGACY_STATE_BYTES + 8;
/// Bytes of the older saved state, which lacks the cached single precision normal.
const LEGACY_STATE_BYTES: usize = NORMAL_VALID_AT + 8;

// Byte offsets of the saved form.
const LEFT_AT: usize = 8;
const SEEDED_AT: usize = 12;
const NEXT_AT: usize = 16;
const WORDS_AT: usize = 24;
const NORMAL_X_AT: usize = WORDS_AT + 8 * STATE_WORDS;
const NORMAL_Y_AT: usize = NORMAL_X_AT + 8;
const NORMAL_RHO_AT: usize = NORMAL_X_AT + 16;
const NORMAL_VALID_AT: usize = NORMAL_X_AT + 24;
const FLOAT_AT: usize = LEGACY_STATE_BYTES;
const FLOAT_VALID_AT: usize = FLOAT_AT + 4;

/// Why a saved state was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// The state has this many bytes, which is no known layout.
    Size(usize),
    /// The bytes do not describe a Mersenne Twister.
    Invalid,
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::Size(found) => write!(
                f,
                "Expected either a CPUGeneratorImplStateLegacy of size {LEGACY_STATE_BYTES} or a \
                 CPUGeneratorImplState of size {STATE_BYTES} but found the input RNG state size to be {found}"
            ),
            StateError::Invalid => f.write_str("Invalid mt19937 state"),
        }
    }
}

impl std::error::Error for StateError {}

/// A stream of random numbers: the engine and the normal values it has drawn but not yet handed out.
#[derive(Clone, Debug)]
pub struct Generator {
    engine: Mt19937,
    next_normal: Option<f64>,
    // Nothing here draws single normals of f32, but a saved state may carry one and must survive the round trip.
    next_normal_f32: Option<f32>,
}

impl Default for Generator {
    fn default() -> Self {
        Generator::new(DEFAULT_SEED)
    }
}

impl Generator {
    /// A generator seeded with `seed`.
    pub fn new(seed: u64) -> Self {
        Generator {
            engine: Mt19937::new(seed),
            next_normal: None,
            next_normal_f32: None,
        }
    }

    /// Restarts the stream from `seed` and forgets cached normals.
    pub fn manual_seed(&mut self, seed: u64) {
        *self = Generator::new(seed);
    }

    /// Restarts the stream from a nondeterministic seed below 2^53, and returns that seed.
    pub fn seed(&mut self) -> u64 {
        let seed = entropy() & ((1 << 53) - 1);
        self.manual_seed(seed);
        seed
    }

    /// The seed the stream was last started from.
    pub fn initial_seed(&self) -> u64 {
        self.engine.seed()
    }

    /// The next 32 random bits.
    #[inline]
    pub fn random(&mut self) -> u32 {
        self.engine.next_u32()
    }

    /// The next 64 random bits: two words, the first one high.
    #[inline]
    pub fn random64(&mut self) -> u64 {
        let high = self.engine.next_u32() as u64;
        high << 32 | self.engine.next_u32() as u64
    }

    /// Fills `out` with consecutive 32-bit draws.
    pub fn fill_words(&mut self, out: &mut [u32]) {
        self.engine.fill(out);
    }

    /// A uniform value in [0, 1) with 24 random bits, from one 32-bit draw.
    #[inline]
    pub fn uniform_f32(&mut self) -> f32 {
        super::unit_f32(self.random())
    }

    /// A uniform value in [0, 1) with 53 random bits, from one 64-bit draw.
    #[inline]
    pub fn uniform_f64(&mut self) -> f64 {
        super::unit_f64(self.random64())
    }

    /// A uniform value in [from, to), as functions that draw one value at a time compute it (rrelu). The fill
    /// [`super::uniform`] fuses its last step and can differ in the last bit.
    #[inline]
    pub fn uniform_between(&mut self, from: f64, to: f64) -> f64 {
        self.uniform_f64() * (to - from) + from
    }

    /// A standard normal value. Pairs are drawn (Box and Muller, 1958); the second one waits for the next call.
    pub fn normal_f64(&mut self) -> f64 {
        if let Some(value) = self.next_normal.take() {
            return value;
        }
        let u1 = self.uniform_f64();
        let u2 = self.uniform_f64();
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        let theta = 2.0 * std::f64::consts::PI * u1;
        self.next_normal = Some(radius * theta.sin());
        radius * theta.cos()
    }

    /// The saved state, in PyTorch's layout (little endian).
    pub fn get_state(&self) -> Vec<u8> {
        let mut bytes = vec![0u8; STATE_BYTES];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &self.engine.seed.to_le_bytes());
        put(LEFT_AT, &self.engine.left.to_le_bytes());
        put(SEEDED_AT, &1i32.to_le_bytes());
        put(NEXT_AT, &(self.engine.next as u64).to_le_bytes());
        for (i, &word) in self.engine.state.iter().enumerate() {
            put(WORDS_AT + 8 * i, &(word as u64).to_le_bytes());
        }
        if let Some(value) = self.next_normal {
            put(NORMAL_Y_AT, &value.to_le_bytes());
            put(NORMAL_VALID_AT, &1i32.to_le_bytes());
        }
        if let Some(value) = self.next_normal_f32 {
            put(FLOAT_AT, &value.to_le_bytes());
            put(FLOAT_VALID_AT, &[1]);
        }
        bytes
    }

    /// Restores a state saved by [`Generator::get_state`], or one in the older layout without the last 8 bytes.
    pub fn set_state(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        if bytes.len() != STATE_BYTES && bytes.len() != LEGACY_STATE_BYTES {
            return Err(StateError::Size(bytes.len()));
        }
        let left = i32::from_le_bytes(read(bytes, LEFT_AT));
        let next = u64::from_le_bytes(read(bytes, NEXT_AT)) as u32;
        let seeded = i32::from_le_bytes(read(bytes, SEEDED_AT)) != 0;
        if !seeded || !(1..=STATE_WORDS as i32).contains(&left) || next > STATE_WORDS as u32 {
            return Err(StateError::Invalid);
        }
        let mut state = [0u32; STATE_WORDS];
        for (i, word) in state.iter_mut().enumerate() {
            *word = u64::from_le_bytes(read(bytes, WORDS_AT + 8 * i)) as u32;
        }
        let real = |at: usize| f64::from_le_bytes(read(bytes, at));
        let cached = i32::from_le_bytes(read(bytes, NORMAL_VALID_AT)) != 0;
        self.next_normal_f32 = None;
        self.next_normal = None;
        if bytes.len() == STATE_BYTES {
            self.next_normal = cached.then(|| real(NORMAL_Y_AT));
            if bytes[FLOAT_VALID_AT] != 0 {
                self.next_normal_f32 = Some(f32::from_le_bytes(read(bytes, FLOAT_AT)));
            }
        } else if cached {
            // The older layout keeps the uniforms of the pair, not the value.
            let radius = (-2.0 * (-real(NORMAL_RHO_AT)).ln_1p()).sqrt();
            let theta = 2.0 * std::f64::consts::PI * real(NORMAL_X_AT);
            self.next_normal = Some(radius * theta.sin());
        }
        self.engine = Mt19937 {
            seed: u64::from_le_bytes(read(bytes, 0)),
            left: left as u32,
            next,
            state,
        };
        Ok(())
    }
}

/// `N` bytes at `at`; the caller has checked the length of the whole.
fn read<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

/// 64 bits that differ from call to call: the standard library's hash keys come from the operating system.
fn entropy() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    if let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) {
        hasher.write_u128(now.as_nanos());
    }
    hasher.write_u32(std::process::id());
    hasher.finish()
}
