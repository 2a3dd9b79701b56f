use super::*;
use half::bf16;
use num_complex::Complex;

fn values<T>(n: usize, seed: usize, make: impl Fn(i64) -> T) -> Vec<T> {
    (0..n)
        .map(|i| make(((i * 7 + seed * 13 + i / 5) % 7) as i64 - 3))
        .collect()
}

/// Visits (output index, input index, weight index) of every product of a convolution.
fn visit(s: &ConvShape, mut f: impl FnMut(usize, usize, usize)) {
    let (gi, go) = (s.in_channels / s.groups, s.out_channels / s.groups);
    let split = |i: usize, d: [usize; 3]| [i / (d[1] * d[2]), i / d[2] % d[1], i % d[2]];
    for (b, o) in (0..s.batch).flat_map(|b| (0..s.out_channels).map(move |o| (b, o))) {
        for c in 0..gi {
            for (place, tap) in (0..s.pixels_out()).flat_map(|p| (0..s.taps()).map(move |t| (p, t)))
            {
                let (p, t) = (split(place, s.output), split(tap, s.kernel));
                let mut at = 0;
                let inside = (0..3).all(|d| {
                    let x = (p[d] * s.stride[d] + t[d] * s.dilation[d]).wrapping_sub(s.padding[d]);
                    at = at * s.input[d] + x.min(s.input[d]);
                    x < s.input[d]
                });
                if inside {
                    let input = (b * s.in_channels + o / go * gi + c) * s.pixels_in() + at;
                    f(
                        (b * s.out_channels + o) * s.pixels_out() + place,
                        input,
                        (o * gi + c) * s.taps() + tap,
                    );
                }
            }
        }
    }
}

fn shapes() -> Vec<ConvShape> {
    vec![
        ConvShape::new(2, 3, 5, 1, &[9], &[3], &[1], &[1], &[1]),
        ConvShape::new(3, 4, 6, 2, &[17], &[4], &[3], &[2], &[2]),
        ConvShape::new(2, 3, 40, 1, &[8, 9], &[3, 3], &[1, 1], &[1, 1], &[1, 1]),
        ConvShape::new(2, 6, 4, 2, &[8, 7], &[3, 2], &[2, 1], &[1, 4], &[1, 2]),
        ConvShape::new(1, 16, 8, 1, &[6, 6], &[1, 1], &[1, 1], &[0, 0], &[1, 1]),
        ConvShape::new(2, 4, 8, 1, &[6, 6], &[1, 1], &[2, 2], &[0, 0], &[1, 1]),
        ConvShape::new(2, 5, 5, 5, &[7, 40], &[3, 3], &[1, 1], &[1, 1], &[1, 1]),
        ConvShape::new(2, 3, 6, 3, &[9, 8], &[3, 5], &[2, 2], &[1, 2], &[1, 1]),
        ConvShape::new(
            2,
            2,
            3,
            1,
            &[4, 5, 6],
            &[2, 3, 3],
            &[1, 2, 1],
            &[0, 1, 1],
            &[1, 1, 2],
        ),
        ConvShape::new(
            2,
            2,
            3,
            1,
            &[4, 5, 6],
            &[2, 3, 3],
            &[1, 1, 1],
            &[1, 3, 1],
            &[2, 1, 1],
        ),
        ConvShape::new(2, 3, 4, 1, &[12], &[2], &[3], &[0], &[4]).with_output(&[2]),
        ConvShape::new(1, 70, 33, 1, &[10, 10], &[3, 3], &[1, 1], &[1, 1], &[1, 1]),
    ]
}

fn check<T: Product + std::fmt::Debug>(make: impl Fn(i64) -> T + Copy) {
    for s in shapes() {
        let x = values(s.input_len(), 1, make);
        let w = values(s.weight_len(), 2, make);
        let g = values(s.output_len(), 3, make);
        let bias = values(s.out_channels, 4, make);
        let zeros = |n: usize| vec![T::Acc::ZERO; n];
        let (mut y, mut gx, mut gw) = (zeros(g.len()), zeros(x.len()), zeros(w.len()));
        for (i, y) in y.iter_mut().enumerate() {
            *y = bias[i / s.pixels_out() % s.out_channels].to_acc();
        }
        visit(&s, |o, i, k| {
            y[o] = y[o].add(x[i].to_acc().mul(w[k].to_acc()));
            gx[i] = gx[i].add(g[o].to_acc().mul(w[k].to_acc()));
            gw[k] = gw[k].add(g[o].to_acc().mul(x[i].to_acc()));
        });
        let narrow = |v: Vec<T::Acc>| v.into_iter().map(T::from_acc).collect::<Vec<T>>();
        let mut got = values(g.len(), 9, make);
        forward(&s, &x, &w, Some(&bias), &mut got);
        assert_eq!(got, narrow(y), "forward {s:?}");
        let mut got = values(x.len(), 9, make);
        backward_input(&s, &g, &w, &mut got);
        assert_eq!(got, narrow(gx), "input {s:?}");
        let mut got = values(w.len(), 9, make);
        backward_weight(&s, &x, &g, &mut got);
        assert_eq!(got, narrow(gw), "weight {s:?}");
        let mut got = values(s.out_channels, 9, make);
        backward_bias(&s, &g, &mut got);
        let mut sums = zeros(s.out_channels);
        for (i, g) in g.iter().enumerate() {
            let c = i / s.pixels_out() % s.out_channels;
            sums[c] = sums[c].add(g.to_acc());
        }
        assert_eq!(got, narrow(sums), "bias {s:?}");
    }
}

#[test]
fn every_kind_of_element() {
    check(|v| v as f32);
    check(|v| v as f64);
    check(|v| v);
    check(|v| v as u8);
    check(|v| bf16::from_f32(v as f32));
    check(|v| Complex::new(v as f32, 1.0));
}

#[test]
fn empty_sizes() {
    let s = ConvShape::new(0, 3, 4, 1, &[5], &[3], &[1], &[0], &[1]);
    forward::<f32>(&s, &[], &[1.0; 36], None, &mut []);
    let mut gw = [1f32; 36];
    backward_weight(&s, &[], &[], &mut gw);
    assert_eq!(gw, [0.0; 36]);
    assert!(conv_output_size(2, 5, 2, 0, 1) <= 0);
    assert_eq!(conv_transpose_output_size(4, 3, 2, 1, 1, 1), 8);
}
