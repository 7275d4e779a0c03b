//! How like two pictures are to an eye: SSIM, as in Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from
//! error visibility to structural similarity" (IEEE Transactions on Image Processing, 2004), section III.

use image::pixels::{Channels, Pixels};

/// The window: Gaussian weights over 11 by 11 pixels, with a deviation of 1.5.
const WINDOW: usize = 11;
const DEVIATION: f64 = 1.5;

/// What keeps the quotients stable: (K1 L)^2 and (K2 L)^2.
const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);

/// How many red, green and blue make luma and the two chromas (JFIF 1.02); the chromas' middle does not matter here.
const LUMA_AND_CHROMA: [[f64; 3]; 3] =
    [[0.299, 0.587, 0.114], [-0.168_736, -0.331_264, 0.5], [0.5, -0.418_688, -0.081_312]];

/// The mean SSIM of luma or of a chroma, whichever is least alike, of two pictures of the same size: 1 where they are the
/// same.
pub fn ssim(a: &Pixels, b: &Pixels) -> f64 {
    assert_eq!((a.width, a.height, a.channels), (b.width, b.height, b.channels), "pictures of different kinds");
    planes(a).iter().zip(&planes(b)).map(|(a, b)| of_planes(a, b)).fold(1.0, f64::min)
}

/// One component.
struct Plane {
    width: usize,
    values: Vec<f64>,
}

/// Luma, and the chromas of a picture that has colours.
fn planes(pixels: &Pixels) -> Vec<Plane> {
    let width = pixels.width as usize;
    if pixels.channels == Channels::Gray {
        return vec![Plane { width, values: pixels.bytes.iter().map(|value| f64::from(*value)).collect() }];
    }
    let plane = |weights: [f64; 3]| {
        let of_pixel = |color: &[u8]| color.iter().zip(weights).map(|(value, weight)| f64::from(*value) * weight).sum();
        Plane { width, values: pixels.bytes.chunks(pixels.channels.count()).map(of_pixel).collect() }
    };
    LUMA_AND_CHROMA.map(plane).into()
}

fn of_planes(a: &Plane, b: &Plane) -> f64 {
    let (mean_a, mean_b) = (a.averaged(), b.averaged());
    let (aa, bb, ab) = (a.times(a).averaged(), b.times(b).averaged(), a.times(b).averaged());
    let windows = mean_a.len();
    let each = (0..windows).map(|at| {
        let (mean_a, mean_b) = (mean_a[at], mean_b[at]);
        let (var_a, var_b, cov) = (aa[at] - mean_a * mean_a, bb[at] - mean_b * mean_b, ab[at] - mean_a * mean_b);
        (2.0 * mean_a * mean_b + C1) * (2.0 * cov + C2)
            / ((mean_a * mean_a + mean_b * mean_b + C1) * (var_a + var_b + C2))
    });
    each.sum::<f64>() / windows as f64
}

impl Plane {
    /// Each value times the other's.
    fn times(&self, other: &Self) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(own, other)| own * other);
        Self { width: self.width, values: values.collect() }
    }

    /// The weighted mean of every window that lies within.
    fn averaged(&self) -> Vec<f64> {
        let weights = weights();
        let mean =
            |values: &mut dyn Iterator<Item = &f64>| values.zip(weights).map(|(value, weight)| value * weight).sum();
        let across: Vec<f64> = self
            .values
            .chunks(self.width)
            .flat_map(|row| row.windows(WINDOW).map(|window| mean(&mut window.iter())))
            .collect();
        let width = self.width + 1 - WINDOW;
        let tops = 0..across.len() - (WINDOW - 1) * width;
        tops.map(|top| mean(&mut across[top..].iter().step_by(width))).collect()
    }
}

/// The window's weights along a side, which add up to 1.
fn weights() -> [f64; WINDOW] {
    let raw: [f64; WINDOW] = std::array::from_fn(|at| {
        let from_middle = at as f64 - (WINDOW / 2) as f64;
        (-from_middle * from_middle / (2.0 * DEVIATION * DEVIATION)).exp()
    });
    let sum: f64 = raw.iter().sum();
    raw.map(|weight| weight / sum)
}
