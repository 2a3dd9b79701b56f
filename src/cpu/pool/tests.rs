use super::*;
use crate::cpu::conv::ConvShape;

const NAN: f32 = f32::NAN;

fn max1(x: &[f32], k: usize, s: usize, p: usize, d: usize, ceil: bool) -> (Vec<f32>, Vec<i64>) {
    let shape = PoolShape::new(1, &[x.len()], &[k], &[s], &[p], &[d], ceil);
    let (mut y, mut i) = (vec![9.0; shape.pixels_out()], vec![-1; shape.pixels_out()]);
    max_pool(&shape, x, &mut y, &mut i);
    (y, i)
}

#[test]
fn maxima_and_indices() {
    let (y, i) = max1(&[1., NAN, 3., 2., 2.], 2, 1, 0, 1, false);
    assert!(y[0].is_nan() && y[1].is_nan() && y[2..] == [3., 2.]);
    assert_eq!(i, [1, 1, 2, 3]);
    assert_eq!(max1(&[-f32::INFINITY; 4], 2, 2, 0, 1, false).1, [0, 2]);
    let x: Vec<f32> = (0..9).map(|v| v as f32).collect();
    assert_eq!(
        max1(&x, 3, 2, 1, 2, true),
        (vec![3., 5., 7., 7.], vec![3, 5, 7, 7])
    );
    let shape = PoolShape::new(1, &[2, 2], &[2, 2], &[2, 2], &[0, 0], &[1, 1], false);
    let (mut y, mut i) = ([0.0], [0]);
    max_pool(&shape, &[NAN, NAN, NAN, 1.], &mut y, &mut i);
    assert!(y[0].is_nan() && i == [2]);
    let mut gx = [9.0f32; 5];
    max_pool_backward(1, &[1., 2., 3., 4.], &[1, 1, 2, 3], &mut gx);
    assert_eq!(gx, [0., 3., 3., 4., 0.]);
}

#[test]
fn averages() {
    let avg = |x: &[f32], k: usize, s: usize, p: usize, divisor: Divisor| {
        let shape = PoolShape::new(1, &[x.len()], &[k], &[s], &[p], &[1], true);
        let mut y = vec![9.0; shape.pixels_out()];
        avg_pool(&shape, divisor, x, &mut y);
        y
    };
    assert_eq!(avg(&[1.; 5], 2, 2, 1, Divisor::Padded), [0.5, 1., 1.]);
    assert_eq!(avg(&[1.; 5], 2, 2, 1, Divisor::Inside), [1., 1., 1.]);
    assert_eq!(avg(&[1.; 6], 3, 3, 1, Divisor::Padded), [2. / 3., 1., 0.5]);
    let shape = PoolShape::new(1, &[5, 5], &[3, 3], &[2, 2], &[1, 1], &[1, 1], true);
    let mut y = [0f32; 9];
    avg_pool(&shape, Divisor::new(true, Some(2)), &[1.; 25], &mut y);
    assert_eq!(y, [2., 3., 2., 3., 4.5, 3., 2., 3., 2.]);
    let shape = PoolShape::new(1, &[4, 4], &[3, 3], &[2, 2], &[1, 1], &[1, 1], false);
    let x: Vec<i64> = (1..17).map(|v| -v).collect();
    let mut y = [0i64; 4];
    avg_pool(&shape, Divisor::Padded, &x, &mut y);
    assert_eq!(y, [-1, -3, -6, -11]);
    let mut gx = [0f32; 16];
    avg_pool_backward(&shape, Divisor::Fixed(1), &[1., 10., 100., 1000.], &mut gx);
    assert_eq!(gx[..4], [1., 11., 10., 10.]);
    assert_eq!(gx[4..8], [101., 1111., 1010., 1010.]);
}

#[test]
fn adaptive_windows() {
    let (mut y, mut i) = ([0f32; 2], [0; 2]);
    adaptive_max_pool(
        1,
        [1, 1, 5],
        [1, 1, 2],
        &[1., 5., 3., 2., 2.],
        &mut y,
        &mut i,
    );
    assert_eq!((y, i), ([5., 3.], [1, 2]));
    adaptive_avg_pool(1, [1, 1, 5], [1, 1, 2], &[1., 5., 3., 2., 1.], &mut y);
    assert_eq!(y, [3., 2.]);
    let mut gx = [0f32; 5];
    adaptive_avg_pool_backward(1, [1, 1, 5], [1, 1, 2], &[3., 6.], &mut gx);
    assert_eq!(gx, [1., 1., 3., 2., 2.]);
}

#[test]
fn unpooling() {
    let mut y = [9f32; 4];
    assert_eq!(max_unpool(1, &[1., 2.], &[1, 1], &mut y), Ok(()));
    assert_eq!(y, [0., 2., 0., 0.]);
    assert_eq!(max_unpool(1, &[1., 2.], &[1, 7], &mut y), Err(7));
    assert_eq!(max_unpool(1, &[1., 2.], &[-1, 7], &mut y), Err(-1));
    let mut g = [0f32; 2];
    assert_eq!(
        max_unpool_backward(1, &[1., 2., 3., 4.], &[3, 0], &mut g),
        Ok(())
    );
    assert_eq!(g, [4., 1.]);
}

#[test]
fn columns_and_back() {
    let s = ConvShape::new(1, 1, 1, 1, &[2, 3], &[2, 2], &[1, 1], &[0, 1], &[1, 1]);
    let mut columns = [9f32; 16];
    unfold(&s, &[1., 2., 3., 4., 5., 6.], &mut columns);
    assert_eq!(
        columns,
        [
            0., 1., 2., 3., 1., 2., 3., 0., 0., 4., 5., 6., 4., 5., 6., 0.
        ]
    );
    let mut image = [0f32; 6];
    fold(&s, &columns, &mut image);
    assert_eq!(image, [2., 4., 6., 8., 10., 12.]);
}

#[test]
fn output_sizes() {
    assert_eq!(pool_output_size(1, 3, 3, 0, 1, false), 0);
    assert_eq!(pool_output_size(5, 2, 2, 1, 1, true), 3);
    assert_eq!(pool_output_size(6, 3, 3, 1, 1, true), 3);
}
