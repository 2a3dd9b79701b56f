// Functions whose built-in form is inexact on some driver, or undefined for NaN and infinities.
//
// WGSL lets a compiler assume that no NaN or infinity occurs, so tests look at the bits, and results that must be NaN or
// infinite are made from bits held in a variable, which no compiler folds.

fn rt_bits(bits: u32) -> f32 {
    var held = bits;
    return bitcast<f32>(held);
}

fn rt_inf() -> f32 {
    return rt_bits(0x7f800000u);
}

fn rt_nan() -> f32 {
    return rt_bits(0x7fc00000u);
}

fn rt_isnan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn rt_isinf(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u;
}

fn rt_isfinite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

fn rt_signbit(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x80000000u) != 0u;
}

fn rt_copysign(x: f32, y: f32) -> f32 {
    return bitcast<f32>((bitcast<u32>(x) & 0x7fffffffu) | (bitcast<u32>(y) & 0x80000000u));
}

fn rt_eq(a: f32, b: f32) -> bool {
    return a == b && !rt_isnan(a) && !rt_isnan(b);
}

fn rt_ne(a: f32, b: f32) -> bool {
    return !rt_eq(a, b);
}

fn rt_bf16(x: f32) -> f32 {
    let bits = bitcast<u32>(x);
    let rounded = (bits + 0x7fffu + ((bits >> 16u) & 1u)) & 0xffff0000u;
    return rt_bits(select(rounded, 0x7fc00000u, rt_isnan(x)));
}

fn rt_max(a: f32, b: f32) -> f32 {
    if (rt_isnan(a)) { return a; }
    if (rt_isnan(b)) { return b; }
    return select(b, a, a > b);
}

fn rt_min(a: f32, b: f32) -> f32 {
    if (rt_isnan(a)) { return a; }
    if (rt_isnan(b)) { return b; }
    return select(b, a, a < b);
}

fn rt_clamp(x: f32, low: f32, high: f32) -> f32 {
    return rt_min(rt_max(x, low), high);
}

fn rt_sign(x: f32) -> f32 {
    if (x > 0.0) { return 1.0; }
    if (x < 0.0) { return -1.0; }
    return 0.0;
}

// exp by two steps of scaling: x = k ln 2 + r, |r| <= ln 2 / 2, Taylor to r^7.
fn rt_exp(x: f32) -> f32 {
    if (rt_isnan(x)) { return x; }
    if (x > 88.72284) { return rt_inf(); }
    if (x < -103.98) { return 0.0; }
    let k = round(x * 1.44269504);
    let r = (x - k * 0.693359375) + k * 2.12194440e-4;
    var p = 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = (p * r) * r + r;
    let half = i32(k) / 2;
    let rest = i32(k) - half;
    return (1.0 + p) * rt_power2(half) * rt_power2(rest);
}

fn rt_power2(k: i32) -> f32 {
    return bitcast<f32>(u32(k + 127) << 23u);
}

fn rt_exp2(x: f32) -> f32 {
    if (rt_isnan(x)) { return x; }
    if (x >= 128.0) { return rt_inf(); }
    if (x < -150.0) { return 0.0; }
    let k = round(x);
    let half = i32(k) / 2;
    return rt_exp((x - k) * 0.69314718) * rt_power2(half) * rt_power2(i32(k) - half);
}

// log(1 + f) for f in [-0.3, 0.42]: 2 atanh(s) with s = f / (2 + f), its first term written as f - s f.
fn rt_log_near(f: f32) -> f32 {
    let s = f / (2.0 + f);
    let z = s * s;
    var p = 2.0 / 13.0;
    p = p * z + 2.0 / 11.0;
    p = p * z + 2.0 / 9.0;
    p = p * z + 2.0 / 7.0;
    p = p * z + 2.0 / 5.0;
    p = p * z + 2.0 / 3.0;
    return f - s * (f - z * p);
}

fn rt_log(x: f32) -> f32 {
    if (rt_isnan(x)) { return x; }
    if (x == 0.0) { return -rt_inf(); }
    if (x < 0.0) { return rt_nan(); }
    if (rt_isinf(x)) { return x; }
    var bits = bitcast<u32>(x);
    var k = 0;
    if (bits < 0x00800000u) {
        // Subnormal: scaled through its integer value, since drivers may flush it.
        bits = bitcast<u32>(f32(bits));
        k = -149;
    }
    // The mantissa is brought to [sqrt(1/2), sqrt(2)).
    let shifted = bits + (0x3f800000u - 0x3f3504f3u);
    k = k + i32(shifted >> 23u) - 127;
    let m = bitcast<f32>((shifted & 0x007fffffu) + 0x3f3504f3u);
    let e = f32(k);
    return e * 0.693359375 + (rt_log_near(m - 1.0) - e * 2.12194440e-4);
}

fn rt_log2(x: f32) -> f32 {
    return rt_log(x) * 1.44269504;
}

fn rt_log10(x: f32) -> f32 {
    return rt_log(x) * 0.434294482;
}

fn rt_log1p(x: f32) -> f32 {
    if (x > -0.29 && x < 0.41) { return rt_log_near(x); }
    if (!rt_isfinite(x) || x <= -1.0) { return rt_log(1.0 + x); }
    let u = 1.0 + x;
    let lost = select((1.0 - u) + x, (x - u) + 1.0, x > 1.0);
    return rt_log(u) + lost / u;
}

fn rt_expm1(x: f32) -> f32 {
    if (abs(x) >= 0.35 || rt_isnan(x)) { return rt_exp(x) - 1.0; }
    var p = 1.0 / 40320.0;
    p = p * x + 1.0 / 5040.0;
    p = p * x + 1.0 / 720.0;
    p = p * x + 1.0 / 120.0;
    p = p * x + 1.0 / 24.0;
    p = p * x + 1.0 / 6.0;
    p = p * x + 0.5;
    return (p * x) * x + x;
}

fn rt_tanh(x: f32) -> f32 {
    if (rt_isnan(x)) { return x; }
    let a = abs(x);
    if (a > 9.1) { return rt_copysign(1.0, x); }
    if (a < 0.17) {
        let t = rt_expm1(2.0 * a);
        return rt_copysign(t / (t + 2.0), x);
    }
    return rt_copysign(1.0 - 2.0 / (rt_exp(2.0 * a) + 1.0), x);
}

fn rt_sinh(x: f32) -> f32 {
    if (!rt_isfinite(x)) { return x; }
    let a = abs(x);
    if (a > 80.0) {
        let h = rt_exp(0.5 * a);
        return rt_copysign((0.5 * h) * h, x);
    }
    let t = rt_expm1(a);
    return rt_copysign(0.5 * (t + t / (t + 1.0)), x);
}

fn rt_cosh(x: f32) -> f32 {
    if (rt_isnan(x)) { return x; }
    let a = abs(x);
    if (a > 80.0) {
        let h = rt_exp(0.5 * min(a, 200.0));
        return (0.5 * h) * h;
    }
    let t = rt_exp(a);
    return 0.5 * t + 0.5 / t;
}

fn rt_asinh(x: f32) -> f32 {
    if (!rt_isfinite(x)) { return x; }
    let a = abs(x);
    if (a > 1e6) { return rt_copysign(rt_log(a) + 0.69314718, x); }
    let square = a * a;
    return rt_copysign(rt_log1p(a + square / (1.0 + sqrt(1.0 + square))), x);
}

fn rt_acosh(x: f32) -> f32 {
    if (rt_isnan(x) || x < 1.0) { return rt_nan(); }
    if (x > 1e6) { return rt_log(x) + 0.69314718; }
    let t = x - 1.0;
    return rt_log1p(t + sqrt(2.0 * t + t * t));
}

fn rt_atanh(x: f32) -> f32 {
    let a = abs(x);
    if (rt_isnan(x) || a > 1.0) { return rt_nan(); }
    if (a == 1.0) { return rt_copysign(rt_inf(), x); }
    return rt_copysign(0.5 * rt_log1p(2.0 * a / (1.0 - a)), x);
}

fn rt_sqrt(x: f32) -> f32 {
    if (x < 0.0) { return rt_nan(); }
    return sqrt(x);
}

fn rt_rsqrt(x: f32) -> f32 {
    if (x < 0.0) { return rt_nan(); }
    if (x == 0.0) { return rt_copysign(rt_inf(), x); }
    return 1.0 / sqrt(x);
}

fn rt_sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + rt_exp(-x));
}

// Quotients that built-in division may get wrong: by zero, and of infinities.
fn rt_div(a: f32, b: f32) -> f32 {
    if (rt_isnan(a)) { return a; }
    if (rt_isnan(b)) { return b; }
    if (b == 0.0) {
        if (a == 0.0) { return rt_nan(); }
        return rt_bits(0x7f800000u | ((bitcast<u32>(a) ^ bitcast<u32>(b)) & 0x80000000u));
    }
    return a / b;
}

fn rt_trunc(x: f32) -> f32 {
    return select(trunc(x), x, abs(x) >= 8388608.0 || rt_isnan(x));
}

fn rt_frac(x: f32) -> f32 {
    return x - rt_trunc(x);
}

fn rt_floor_div(a: f32, b: f32) -> f32 {
    if (b == 0.0 || rt_isnan(a) || rt_isnan(b)) { return rt_div(a, b); }
    let r = rt_fmod(a, b);
    var q = (a - r) / b;
    if (r != 0.0 && ((b < 0.0) != (r < 0.0))) { q = q - 1.0; }
    if (q == 0.0) { return rt_copysign(0.0, a / b); }
    let low = floor(q);
    return select(low, low + 1.0, q - low > 0.5);
}

// The remainder with the sign of the dividend: long division of the significands as integers, eight bits a step, so
// that it is exact, for subnormal numbers too.
fn rt_fmod(a: f32, b: f32) -> f32 {
    let ua = bitcast<u32>(a) & 0x7fffffffu;
    let ub = bitcast<u32>(b) & 0x7fffffffu;
    if (ub == 0u || ua >= 0x7f800000u || ub > 0x7f800000u) { return rt_nan(); }
    if (ua < ub) { return a; }
    let ea = max(ua >> 23u, 1u);
    let eb = max(ub >> 23u, 1u);
    let ma = (ua & 0x7fffffu) | select(0u, 0x800000u, ua >= 0x800000u);
    let mb = (ub & 0x7fffffu) | select(0u, 0x800000u, ub >= 0x800000u);
    var r = ma % mb;
    for (var left = ea - eb; left > 0u && r > 0u;) {
        let bits = min(left, 8u);
        r = (r << bits) % mb;
        left = left - bits;
    }
    // The significand and exponent of r * 2^(eb - 150).
    let shift = min(countLeadingZeros(r) - 8u, eb - 1u);
    r = r << shift;
    if (r >= 0x800000u) { r = (r & 0x7fffffu) | ((eb - shift) << 23u); }
    return rt_bits(r | (bitcast<u32>(a) & 0x80000000u));
}

fn rt_remainder(a: f32, b: f32) -> f32 {
    let r = rt_fmod(a, b);
    if (r != 0.0 && ((b < 0.0) != (r < 0.0))) {
        return r + b;
    }
    return r;
}

fn rt_pow(x: f32, y: f32) -> f32 {
    if (y == 0.0 || x == 1.0) { return 1.0; }
    if (rt_isnan(x)) { return x; }
    if (rt_isnan(y)) { return y; }
    let whole = abs(y) >= 8388608.0 || floor(y) == y;
    let odd = whole && abs(y) < 16777216.0 && (i32(abs(y)) & 1) == 1;
    let a = abs(x);
    if (rt_isinf(y)) {
        if (a == 1.0) { return 1.0; }
        return select(0.0, rt_inf(), (a > 1.0) == (y > 0.0));
    }
    if (x == 0.0 || rt_isinf(x)) {
        let size = select(0.0, rt_inf(), (x == 0.0) == (y < 0.0));
        return select(size, rt_copysign(size, x), odd);
    }
    if (x < 0.0 && !whole) { return rt_nan(); }
    var size: f32;
    if (y == 0.5) {
        size = sqrt(a);
    } else if (whole && abs(y) <= 64.0) {
        // Exact products for the powers that programs use most.
        var e = u32(abs(y));
        var square = a;
        size = 1.0;
        for (var bit = 0; bit < 7; bit = bit + 1) {
            if ((e & 1u) == 1u) { size = size * square; }
            e = e >> 1u;
            if (e != 0u) { square = square * square; }
        }
        if (y < 0.0) { size = 1.0 / size; }
    } else {
        size = rt_exp(y * rt_log(a));
    }
    return select(size, -size, x < 0.0 && odd);
}

// erf: its series below 1.5, above it one minus the complement.
fn rt_erf(x: f32) -> f32 {
    if (rt_isnan(x)) { return x; }
    let a = abs(x);
    if (a >= 4.0) { return rt_copysign(1.0, x); }
    if (a >= 1.5) { return rt_copysign(1.0 - rt_erfc_far(a), x); }
    let z = x * x;
    // sum over n of (2 z)^n / (1 3 5 ... (2n + 1)), times 2 / sqrt(pi) x exp(-z): all terms positive.
    var sum = 1.0;
    for (var n = 17; n > 0; n = n - 1) {
        sum = 1.0 + sum * (2.0 * z) / f32(2 * n + 1);
    }
    return 1.12837917 * x * rt_exp(-z) * sum;
}

// The Chebyshev fit of erfc from Numerical Recipes (1.2e-7 relative), for x > 0.
fn rt_erfc_far(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.5 * x);
    var p = 0.17087277;
    p = p * t - 0.82215223;
    p = p * t + 1.48851587;
    p = p * t - 1.13520398;
    p = p * t + 0.27886807;
    p = p * t - 0.18628806;
    p = p * t + 0.09678418;
    p = p * t + 0.37409196;
    p = p * t + 1.00002368;
    p = p * t - 1.26551223;
    return t * rt_exp(-x * x) * rt_exp(p);
}

fn rt_erfc(x: f32) -> f32 {
    if (rt_isnan(x)) { return x; }
    if (x < 0.5) { return 1.0 - rt_erf(x); }
    if (x > 10.1) { return 0.0; }
    return rt_erfc_far(x);
}

fn rt_i32_floor_div(a: i32, b: i32) -> i32 {
    let q = a / b;
    return select(q, q - 1, (a - q * b) != 0 && ((a < 0) != (b < 0)));
}

fn rt_i64_floor_div(a: i64, b: i64) -> i64 {
    let q = a / b;
    return select(q, q - 1li, (a - q * b) != 0li && ((a < 0li) != (b < 0li)));
}

fn rt_u32_floor_div(a: u32, b: u32) -> u32 {
    return a / b;
}

// The remainder is spelt out: some drivers compute a signed % from unsigned parts.
fn rt_i32_fmod(a: i32, b: i32) -> i32 {
    return a - b * (a / b);
}

fn rt_i64_fmod(a: i64, b: i64) -> i64 {
    return a - b * (a / b);
}

fn rt_u32_fmod(a: u32, b: u32) -> u32 {
    return a % b;
}

fn rt_i32_remainder(a: i32, b: i32) -> i32 {
    return a - b * rt_i32_floor_div(a, b);
}

fn rt_i64_remainder(a: i64, b: i64) -> i64 {
    return a - b * rt_i64_floor_div(a, b);
}

fn rt_u32_remainder(a: u32, b: u32) -> u32 {
    return a % b;
}

fn rt_i32_pow(x: i32, y: i32) -> i32 {
    if (y < 0) { return select(0, select(1, x, (y & 1) == 1), x == 1 || x == -1); }
    var out = 1;
    var square = x;
    var e = y;
    for (var bit = 0; bit < 31; bit = bit + 1) {
        if ((e & 1) == 1) { out = out * square; }
        e = e >> 1u;
        square = square * square;
    }
    return out;
}

fn rt_i64_pow(x: i64, y: i64) -> i64 {
    if (y < 0li) { return select(0li, select(1li, x, (y & 1li) == 1li), x == 1li || x == -1li); }
    var out = 1li;
    var square = x;
    var e = y;
    for (var bit = 0; bit < 63; bit = bit + 1) {
        if ((e & 1li) == 1li) { out = out * square; }
        e = e >> 1u;
        square = square * square;
    }
    return out;
}

fn rt_u32_pow(x: u32, y: u32) -> u32 {
    var out = 1u;
    var square = x;
    var e = y;
    for (var bit = 0; bit < 32; bit = bit + 1) {
        if ((e & 1u) == 1u) { out = out * square; }
        e = e >> 1u;
        square = square * square;
    }
    return out;
}

fn rt_i32_ne(a: i32, b: i32) -> bool {
    return a != b;
}

fn rt_i64_ne(a: i64, b: i64) -> bool {
    return a != b;
}

fn rt_u32_ne(a: u32, b: u32) -> bool {
    return a != b;
}

fn rt_i32_eq(a: i32, b: i32) -> bool {
    return a == b;
}

fn rt_i64_eq(a: i64, b: i64) -> bool {
    return a == b;
}

fn rt_u32_eq(a: u32, b: u32) -> bool {
    return a == b;
}

fn rt_mulhi(a: u32, b: u32) -> u32 {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let cross = a1 * b0 + ((a0 * b0) >> 16u);
    let other = a0 * b1 + (cross & 0xffffu);
    return a1 * b1 + (cross >> 16u) + (other >> 16u);
}

// 32 bits of 2 / pi from bit `at` on, of which the first 32 stand before the point.
fn rt_two_over_pi(at: u32) -> u32 {
    var words = array<u32, 9>(
        0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu, 0xdebbc561u,
    );
    let word = at >> 5u;
    let shift = at & 31u;
    if (shift == 0u) { return words[word]; }
    return (words[word] << shift) | (words[word + 1u] >> (32u - shift));
}

// x less the nearest multiple of pi / 2, and which multiple it is, modulo 4.
fn rt_quarter(x: f32) -> vec2<f32> {
    let a = abs(x);
    if (a < 6000.0) {
        // Three parts of pi / 2, the first two of 12 bits, so that their multiples are exact.
        let k = round(x * 0.636619772);
        return vec2<f32>(((x - k * 1.5703125) - k * 0.0004837512969970703) - k * 7.549790126e-8, f32(i32(k) & 3));
    }
    // Payne and Hanek, "Radian reduction for trigonometric functions", 1983: the product with 2 / pi modulo 4.
    let bits = bitcast<u32>(a);
    let m = (bits & 0x007fffffu) | 0x00800000u;
    let at = (bits >> 23u) - 120u;
    let w0 = rt_two_over_pi(at);
    let w1 = rt_two_over_pi(at + 32u);
    let w2 = rt_two_over_pi(at + 64u);
    let p2 = m * w2;
    let p1 = m * w1 + rt_mulhi(m, w2);
    let carry = select(0u, 1u, p1 < m * w1);
    let p0 = m * w0 + rt_mulhi(m, w1) + carry;
    var quadrant = p0 >> 30u;
    var high = (p0 << 2u) | (p1 >> 30u);
    var low = (p1 << 2u) | (p2 >> 30u);
    var sign = 1.0;
    if (high >= 0x80000000u) {
        quadrant = quadrant + 1u;
        sign = -1.0;
        low = ~low + 1u;
        high = ~high + select(0u, 1u, low == 0u);
    }
    let part = f32(high) * 2.3283064365386963e-10 + f32(low) * 5.421010862427522e-20;
    if (x < 0.0) {
        sign = -sign;
        quadrant = 4u - (quadrant & 3u);
    }
    return vec2<f32>(sign * part * 1.57079637, f32(quadrant & 3u));
}

fn rt_sin_near(r: f32) -> f32 {
    let z = r * r;
    var p = 1.0 / 362880.0;
    p = p * z - 1.0 / 5040.0;
    p = p * z + 1.0 / 120.0;
    p = p * z - 1.0 / 6.0;
    return (p * z) * r + r;
}

fn rt_cos_near(r: f32) -> f32 {
    let z = r * r;
    var p = -1.0 / 3628800.0;
    p = p * z + 1.0 / 40320.0;
    p = p * z - 1.0 / 720.0;
    p = p * z + 1.0 / 24.0;
    p = p * z - 0.5;
    return p * z + 1.0;
}

fn rt_sin(x: f32) -> f32 {
    if (!rt_isfinite(x)) { return rt_nan(); }
    let q = rt_quarter(x);
    let part = i32(q.y);
    let size = select(rt_sin_near(q.x), rt_cos_near(q.x), (part & 1) == 1);
    return select(size, -size, part >= 2);
}

fn rt_cos(x: f32) -> f32 {
    if (!rt_isfinite(x)) { return rt_nan(); }
    let q = rt_quarter(x);
    let part = i32(q.y);
    let size = select(rt_cos_near(q.x), rt_sin_near(q.x), (part & 1) == 1);
    return select(size, -size, part == 1 || part == 2);
}

fn rt_tan(x: f32) -> f32 {
    if (!rt_isfinite(x)) { return rt_nan(); }
    let q = rt_quarter(x);
    let s = rt_sin_near(q.x);
    let c = rt_cos_near(q.x);
    if ((i32(q.y) & 1) == 1) { return -c / s; }
    return s / c;
}

// atan: folded to [0, tan(pi / 8)], then its series.
fn rt_atan(x: f32) -> f32 {
    if (rt_isnan(x)) { return x; }
    var a = abs(x);
    var base = 0.0;
    if (a > 2.41421356) {
        a = select(-1.0 / a, 0.0, a > 1e30);
        base = 1.57079637;
    } else if (a > 0.414213562) {
        a = (a - 1.0) / (a + 1.0);
        base = 0.785398163;
    }
    let z = a * a;
    var p = -1.0 / 19.0;
    p = p * z + 1.0 / 17.0;
    p = p * z - 1.0 / 15.0;
    p = p * z + 1.0 / 13.0;
    p = p * z - 1.0 / 11.0;
    p = p * z + 1.0 / 9.0;
    p = p * z - 1.0 / 7.0;
    p = p * z + 1.0 / 5.0;
    p = p * z - 1.0 / 3.0;
    return rt_copysign(base + ((p * z) * a + a), x);
}

fn rt_atan2(y: f32, x: f32) -> f32 {
    if (rt_isnan(x)) { return x; }
    if (rt_isnan(y)) { return y; }
    let a = abs(y);
    let b = abs(x);
    var angle: f32;
    if (rt_isinf(x) && rt_isinf(y)) {
        angle = 0.785398163;
    } else if (a == 0.0 || rt_isinf(x)) {
        angle = 0.0;
    } else if (b == 0.0 || rt_isinf(y)) {
        angle = 1.57079637;
    } else if (a > b) {
        angle = 1.57079637 - rt_atan(b / a);
    } else {
        angle = rt_atan(a / b);
    }
    if (rt_signbit(x)) { angle = 3.14159274 - angle; }
    return rt_copysign(angle, y);
}

// asin on [-0.5, 0.5]: a fit of degree 5 in x^2, 1e-9 relative.
fn rt_asin_near(x: f32) -> f32 {
    let z = x * x;
    var p = 0.0338053852;
    p = p * z + 0.0170781072;
    p = p * z + 0.0311160944;
    p = p * z + 0.0445980392;
    p = p * z + 0.0750009865;
    p = p * z + 0.166666657;
    return (p * z) * x + x;
}

fn rt_asin(x: f32) -> f32 {
    let a = abs(x);
    if (rt_isnan(x) || a > 1.0) { return rt_nan(); }
    if (a <= 0.5) { return rt_asin_near(x); }
    return rt_copysign(1.57079637 - 2.0 * rt_asin_near(sqrt(0.5 * (1.0 - a))), x);
}

fn rt_acos(x: f32) -> f32 {
    if (rt_isnan(x) || abs(x) > 1.0) { return rt_nan(); }
    if (x > 0.5) { return 2.0 * rt_asin_near(sqrt(0.5 * (1.0 - x))); }
    if (x < -0.5) { return 3.14159274 - 2.0 * rt_asin_near(sqrt(0.5 * (1.0 + x))); }
    return 1.57079637 - rt_asin_near(x);
}

fn rt_hypot(a: f32, b: f32) -> f32 {
    if (rt_isinf(a) || rt_isinf(b)) { return rt_inf(); }
    let x = max(abs(a), abs(b));
    let y = min(abs(a), abs(b));
    if (x == 0.0 || rt_isnan(a) || rt_isnan(b)) { return abs(a) + abs(b); }
    let r = y / x;
    return x * sqrt(1.0 + r * r);
}
