//! What part of a picture goes into what size.

use crate::options::{Fit, Options, SIDE_MAX};

/// Pixels wide and high.
pub type Size = (u32, u32);

/// How a picture becomes the answer. All is in the sides as they are stored, before the picture is turned upright.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The picture's own size.
    pub source: Size,
    /// The part that is used, in pixels of the source: its left upper corner and its size.
    pub crop: [f64; 4],
    /// The answer's size.
    pub target: Size,
}

impl Plan {
    /// How much smaller the answer is than the part it is made from: 0.5 is half as wide.
    pub fn scale(&self) -> f64 {
        let [_, _, width, height] = self.crop;
        (f64::from(self.target.0) / width).max(f64::from(self.target.1) / height)
    }
}

/// Plans the way from a picture of `source` size to what is asked for. `swapped` where the picture is stored on its side.
pub fn plan(source: Size, swapped: bool, options: &Options) -> Plan {
    let (mut w, mut h) = (options.w, options.h);
    if swapped {
        (w, h) = (h, w);
    }
    let (width, height) = (f64::from(source.0), f64::from(source.1));
    let limited = |side: u32, own: u32| if options.enlarge { side } else { side.min(own) };
    let whole = [0.0, 0.0, width, height];
    let (crop, target) = match (w, h, options.fit) {
        (None, None, _) => (whole, source),
        (Some(w), Some(h), Fit::Stretch) => (whole, (limited(w, source.0), limited(h, source.1))),
        (Some(w), Some(h), Fit::Cover) => {
            let target = (limited(w, source.0), limited(h, source.1));
            (middle(width, height, target), target)
        }
        (w, h, _) => {
            let by = |side: Option<u32>, own: f64| side.map_or(f64::INFINITY, |side| f64::from(side) / own);
            let mut scale = by(w, width).min(by(h, height));
            // A long thin picture is enlarged no further than to the longest side that there is.
            let most = if options.enlarge { (f64::from(SIDE_MAX) / width.max(height)).max(1.0) } else { 1.0 };
            scale = scale.min(most);
            (whole, (scaled(width, scale), scaled(height, scale)))
        }
    };
    Plan { source, crop, target }
}

/// The largest part in the middle that has the proportions of `target`.
///
/// Whole sides are multiplied before anything is divided, which is exact: a part is never a last digit larger than the picture.
fn middle(width: f64, height: f64, target: Size) -> [f64; 4] {
    let (wide, high) = (f64::from(target.0), f64::from(target.1));
    let (w, h) =
        if width * high > height * wide { (height * wide / high, height) } else { (width, width * high / wide) };
    [(width - w) / 2.0, (height - h) / 2.0, w, h]
}

fn scaled(side: f64, scale: f64) -> u32 {
    ((side * scale).round() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(source: Size, w: Option<u32>, h: Option<u32>, fit: Fit, enlarge: bool) -> Size {
        plan(source, false, &Options { w, h, fit, enlarge, ..Options::default() }).target
    }

    #[test]
    fn sizes_are_as_asked_for() {
        let photo = (3000, 2000);
        assert_eq!(target(photo, Some(320), None, Fit::Contain, false), (320, 213));
        assert_eq!(target(photo, None, Some(200), Fit::Contain, false), (300, 200));
        assert_eq!(target(photo, Some(320), Some(100), Fit::Contain, false), (150, 100));
        assert_eq!(target(photo, Some(100), Some(100), Fit::Cover, false), (100, 100));
        assert_eq!(target(photo, Some(10), Some(100), Fit::Stretch, false), (10, 100));
        assert_eq!(target(photo, Some(6000), None, Fit::Contain, false), photo);
        assert_eq!(target(photo, Some(6000), None, Fit::Contain, true), (6000, 4000));
        assert_eq!(target(photo, None, None, Fit::Cover, false), photo);
    }

    #[test]
    fn a_picture_on_its_side_is_planned_on_its_side() {
        let options = Options { w: Some(100), ..Options::default() };
        assert_eq!(plan((3000, 2000), true, &options).target, (150, 100));
    }

    #[test]
    fn a_part_of_the_pictures_own_proportion_is_the_whole_of_it() {
        let options = Options { w: Some(928), h: Some(1829), fit: Fit::Cover, ..Options::default() };
        assert_eq!(plan((928, 1829), false, &options).crop, [0.0, 0.0, 928.0, 1829.0]);
    }

    proptest! {
        #[test]
        fn the_part_lies_in_the_picture_and_keeps_its_proportion(
            sw in 1_u32..9000, sh in 1_u32..9000, w in proptest::option::of(1_u32..9000),
            h in proptest::option::of(1_u32..9000), cover: bool, enlarge: bool, swapped: bool,
        ) {
            let fit = if cover { Fit::Cover } else { Fit::Contain };
            let plan = plan((sw, sh), swapped, &Options { w, h, fit, enlarge, ..Options::default() });
            let [x, y, cw, ch] = plan.crop;
            prop_assert!(x >= 0.0 && y >= 0.0 && cw > 0.0 && ch > 0.0);
            prop_assert!(x + cw <= f64::from(sw) + 1e-6 && y + ch <= f64::from(sh) + 1e-6);
            prop_assert!(plan.target.0 >= 1 && plan.target.1 >= 1);
            if !enlarge {
                prop_assert!(plan.target.0 <= sw && plan.target.1 <= sh);
            }
            // Within the rounding of a pixel.
            let (tw, th) = (f64::from(plan.target.0), f64::from(plan.target.1));
            prop_assert!((tw * ch - th * cw).abs() <= cw.max(ch) * 1.01, "{plan:?}");
        }
    }
}
