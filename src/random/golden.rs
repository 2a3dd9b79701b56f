//! Streams recorded from PyTorch 2.13: the hash of 8 fills in a row (short, one group, ragged and long) and of the
//! generator's state after them.

use half::{bf16, f16};

use super::*;

const SIZES: [usize; 8] = [1, 2, 15, 16, 17, 31, 1000, 1007];
/// Beyond 32 bits, so that a seed that is not cut would show.
const SEED: u64 = 1_099_511_627_779;

/// The FNV-1a hash.
fn hash(bytes: impl IntoIterator<Item = u8>, start: u64) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ byte as u64).wrapping_mul(0x100_0000_01b3);
    bytes.into_iter().fold(start, step)
}

trait Bytes: Element {
    fn bytes(self) -> Vec<u8>;
}

macro_rules! bytes {
    ($($t:ty)*) => {$(
        impl Bytes for $t {
            fn bytes(self) -> Vec<u8> { self.to_le_bytes().to_vec() }
        }
    )*};
}
bytes! { u8 i8 i16 i32 i64 f16 bf16 f32 f64 }

impl Bytes for bool {
    fn bytes(self) -> Vec<u8> {
        vec![self as u8]
    }
}

fn stream<T: Bytes>(fill: impl Fn(&mut Generator, &mut [T])) -> u64 {
    let mut generator = Generator::new(SEED);
    let mut total = 0xcbf2_9ce4_8422_2325;
    for size in SIZES {
        let mut out = vec![T::from_bool(false); size];
        fill(&mut generator, &mut out);
        total = hash(out.into_iter().flat_map(Bytes::bytes), total);
    }
    hash(generator.get_state(), total)
}

/// Evenly spaced parameters from `from` up to but not including `to`.
fn ramp<T: Real>(count: usize, from: f64, to: f64) -> Vec<T> {
    let at = |i| i as f64 / count as f64 * (to - from) + from;
    (0..count).map(|i| T::from_f64(at(i))).collect()
}

macro_rules! streams {
    ($(($t:ty, $fill:expr) => $hash:expr,)*) => {$(
        assert_eq!(stream::<$t>($fill), $hash, "{} of {}", stringify!($fill), stringify!($t));
    )*};
}

// Each closure fixes the element type, which a bare path would leave open to the table's reader.
#[allow(clippy::redundant_closure)]
#[test]
fn integer_arithmetic_streams() {
    streams! {
            (f32, |g, out| uniform(g, out, -2.0, 3.0)) => 0xae48_18de_58ef_a586,
            (f64, |g, out| uniform(g, out, -2.0, 3.0)) => 0xb53d_6935_6945_6c3d,
            (f16, |g, out| uniform(g, out, -2.0, 3.0)) => 0x5c4a_1537_f11d_f41a,
            (bf16, |g, out| uniform(g, out, -2.0, 3.0)) => 0x5035_6b4a_da09_e390,
            (f32, |g, out| random(g, out)) => 0x6e84_46a8_b611_8214,
            (f64, |g, out| random(g, out)) => 0x9803_9370_088e_c8b1,
            (f16, |g, out| random(g, out)) => 0xe3d6_ff17_e8e1_ff01,
            (bf16, |g, out| random(g, out)) => 0x3ea0_a9f0_06ac_eac2,
            (i64, |g, out| random(g, out)) => 0x2a0a_73c0_6464_a1ab,
            (i32, |g, out| random(g, out)) => 0xbf84_3470_f0a2_4655,
            (i16, |g, out| random(g, out)) => 0x6179_1c6c_0865_0682,
            (i8, |g, out| random(g, out)) => 0xb953_e5dc_ee96_f7dd,
            (u8, |g, out| random(g, out)) => 0xb79b_506a_a63a_815d,
            (bool, |g, out| random(g, out)) => 0x07d5_ab1c_1866_1125,
            (f32, |g, out| random_from(g, out, 3, 87)) => 0x875b_e8a2_6d8f_7ddb,
            (f64, |g, out| random_from(g, out, 3, 87)) => 0x2487_2deb_08c9_6daa,
            (f16, |g, out| random_from(g, out, 3, 87)) => 0x0663_8a9e_4c46_e389,
            (bf16, |g, out| random_from(g, out, 3, 87)) => 0xd513_0ceb_f3df_7a63,
            (i64, |g, out| random_from(g, out, 3, 87)) => 0x19a4_8b90_e863_8a2a,
            (i32, |g, out| random_from(g, out, 3, 87)) => 0xca90_53c7_ee8f_e62a,
            (i16, |g, out| random_from(g, out, 3, 87)) => 0x8ae8_790b_426e_195a,
            (i8, |g, out| random_from(g, out, 3, 87)) => 0xf751_2833_32b5_bf5a,
            (u8, |g, out| random_from(g, out, 3, 87)) => 0xf751_2833_32b5_bf5a,
            (i64, |g, out| random_from(g, out, -5, 1 << 28)) => 0x9ff0_518f_13fc_7232,
            (i32, |g, out| random_from(g, out, -5, 1 << 28)) => 0x4986_f9de_4779_c7e2,
            (i64, |g, out| random_from(g, out, -5, 1 << 40)) => 0x5268_83e0_65b9_e521,
            (i64, |g, out| random_full(g, out)) => 0x5460_b4c3_acf0_762b,
            (f32, |g, out| bernoulli(g, out, 0.3)) => 0xd445_69a1_94e0_9dfa,
            (u8, |g, out| bernoulli(g, out, 0.3)) => 0x4d8d_5167_485c_7508,
            (bool, |g, out| bernoulli(g, out, 0.3)) => 0x4d8d_5167_485c_7508,
            (i64, |g, out| permutation(g, out)) => 0xc1f3_0ed7_4811_482f,
            (i32, |g, out| permutation(g, out)) => 0xe9f2_c528_c143_1a1f,
            (f32, |g, out| permutation(g, out)) => 0x39c7_f2bb_484e_350d,
    }
}

// Elementary functions of f64 are the C library's, and so is the last bit of what is drawn with them.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn elementary_function_streams() {
    streams! {
            (f32, |g, out| normal(g, out, 1.5, 0.3)) => 0xdd32_8a92_175b_1c90,
            (f64, |g, out| normal(g, out, 1.5, 0.3)) => 0x24c7_e8a3_a065_1a18,
            (f16, |g, out| normal(g, out, 1.5, 0.3)) => 0x9c3a_3b8f_0dfb_77ac,
            (bf16, |g, out| normal(g, out, 1.5, 0.3)) => 0x83a6_f4e1_3841_bbf1,
            (f32, |g, out| log_normal(g, out, 0.1, 0.5)) => 0x8071_9969_518c_e17a,
            (f64, |g, out| log_normal(g, out, 0.1, 0.5)) => 0x754b_96c2_d5fd_d150,
            (f16, |g, out| log_normal(g, out, 0.1, 0.5)) => 0xa125_96d6_2155_3d8f,
            (bf16, |g, out| log_normal(g, out, 0.1, 0.5)) => 0xcb5d_3e40_d32f_6075,
            (f32, |g, out| exponential(g, out, 0.7)) => 0x6399_86ec_cb60_e3d7,
            (f64, |g, out| exponential(g, out, 0.7)) => 0x0b02_9cc1_a13f_5a64,
            (f16, |g, out| exponential(g, out, 0.7)) => 0xf814_89bf_c21c_aeca,
            (bf16, |g, out| exponential(g, out, 0.7)) => 0x323e_f69d_3517_3900,
            (f32, |g, out| geometric(g, out, 0.2)) => 0x7d87_bffd_b241_b0e4,
            (i64, |g, out| geometric(g, out, 0.2)) => 0x12d3_baa6_7154_001c,
            (i8, |g, out| geometric(g, out, 0.2)) => 0xea9b_36ea_630e_3a54,
            (f32, |g, out| cauchy(g, out, 1.0, 2.0)) => 0x739e_9a51_e2a0_3b7b,
            (f64, |g, out| cauchy(g, out, 1.0, 2.0)) => 0xbb28_8ef3_5c60_e74c,
            (f16, |g, out| cauchy(g, out, 1.0, 2.0)) => 0x3ec7_1114_f38a_beba,
            (bf16, |g, out| cauchy(g, out, 1.0, 2.0)) => 0x7feb_a646_8cab_edfb,
            (f32, |g, out| { let p = ramp::<f32>(out.len(), 0.0, 1.0); bernoulli_each(g, out, &p) }) => 0x5f44_7366_f767_b06d,
            (f64, |g, out| { let p = ramp::<f64>(out.len(), 0.0, 1.0); bernoulli_each(g, out, &p) }) => 0xdad4_146a_87fd_312f,
            (f16, |g, out| { let p = ramp::<f16>(out.len(), 0.0, 1.0); bernoulli_each(g, out, &p) }) => 0x97f8_8cbc_b3da_186c,
            (f32, |g, out| { let p = ramp::<f32>(out.len(), 0.0, 9.0); standard_gamma(g, out, &p) }) => 0x744b_3c28_cb48_fb89,
            (f64, |g, out| { let p = ramp::<f64>(out.len(), 0.0, 9.0); standard_gamma(g, out, &p) }) => 0x0fae_705e_486e_c7df,
            (f32, |g, out| { let p = ramp::<f32>(out.len(), 0.0, 40.0); poisson(g, out, &p) }) => 0x182e_91c2_6a7d_c000,
            (f64, |g, out| { let p = ramp::<f64>(out.len(), 0.0, 40.0); poisson(g, out, &p) }) => 0x6ca5_d7d1_736d_1c53,
            (bf16, |g, out| { let p = ramp::<bf16>(out.len(), 0.0, 40.0); poisson(g, out, &p) }) => 0x2cec_b063_3fd6_9bb4,
            (f32, |g, out| { let p = ramp::<f32>(out.len(), 1.0, 9.0); dirichlet(g, out, &p, p.len()) }) => 0xa4c0_8e6b_d771_7a15,
            (f64, |g, out| { let p = ramp::<f64>(out.len(), 1.0, 9.0); dirichlet(g, out, &p, p.len()) }) => 0x823b_424a_b521_ea92,
            (f32, |g, out| { let p = ramp::<f32>(out.len(), 0.0, 1.0); binomial(g, out, &vec![60.0; p.len()], &p) }) => 0xe24e_d291_c673_103a,
            (f64, |g, out| { let p = ramp::<f64>(out.len(), 0.0, 1.0); binomial(g, out, &vec![60.0; p.len()], &p) }) => 0x5cf8_5523_62e9_0fd8,
    }
}

#[test]
fn single_precision_normals() {
    let mut generator = Generator::new(0);
    let mut out = [0f32; 17];
    normal(&mut generator, &mut out, 0.0, 1.0);
    assert_eq!(
        out.map(f32::to_bits),
        [
            0xbf90_1b85,
            0xbfd9_1446,
            0x3f11_1004,
            0x3f4b_235d,
            0x3f19_4d8b,
            0xbfc7_0d5b,
            0xbeae_c6ca,
            0x3fed_2f4e,
            0x3eef_aa55,
            0xbf15_e32b,
            0xbe31_8eeb,
            0x3e3b_e1a4,
            0x3fb1_d6c0,
            0x3fcb_0d00,
            0x3f72_409c,
            0xbf57_fb33,
            0x3f6e_8c30
        ]
    );
}

#[test]
fn categories() {
    let mut generator = Generator::new(42);
    let mut out = [0i64; 30];
    multinomial(&mut generator, &mut out, &[0.1f32, 0.2, 0.3, 0.4]);
    assert_eq!(
        out,
        [
            0, 0, 1, 0, 2, 2, 3, 3, 0, 1, 1, 2, 3, 3, 2, 3, 0, 3, 3, 2, 0, 3, 2, 2, 0, 0, 3, 1, 1,
            1
        ]
    );
}

#[test]
fn saved_states_continue_the_stream() {
    let mut generator = Generator::new(u64::MAX);
    normal_scalar(&mut generator, &mut [0f32; 3], 0.0, 1.0);
    let state = generator.get_state();
    let mut copy = Generator::default();
    assert_eq!(copy.set_state(&state), Ok(()));
    assert_eq!(copy.initial_seed(), u64::MAX);
    assert_eq!(copy.normal_f64(), generator.normal_f64());
    assert_eq!(copy.random64(), generator.random64());
    assert_eq!(copy.get_state(), generator.get_state());
    assert_eq!(
        copy.set_state(&state[1..]),
        Err(StateError::Size(STATE_BYTES - 1))
    );
    assert_eq!(copy.set_state(&[0; STATE_BYTES]), Err(StateError::Invalid));
}
