//! How a camera was held: the EXIF orientation, read and undone.

use std::io::Cursor;

use crate::pixels::Pixels;

/// The EXIF orientation, 1 to 8 (CIPA DC-008, tag 0x0112): where the first row and column of the stored picture belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation(u8);

impl Orientation {
    /// As it is stored.
    pub const UPRIGHT: Self = Self(1);

    /// The orientation that EXIF data tell of; upright where they tell of none.
    pub fn from_exif(exif: &[u8]) -> Self {
        let mut exif = Cursor::new(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif));
        let tag = exif::Reader::new()
            .read_from_container(&mut exif)
            .or_else(|_| exif::Reader::new().read_raw(exif.get_ref().to_vec()));
        let value = tag.ok().and_then(|exif| {
            exif.get_field(exif::Tag::Orientation, exif::In::PRIMARY).and_then(|field| field.value.get_uint(0))
        });
        match value {
            Some(value @ 1..=8) => Self(value as u8),
            _ => Self::UPRIGHT,
        }
    }

    /// Whether what is stored as width is the upright picture's height.
    pub fn swaps_sides(self) -> bool {
        self.0 >= 5
    }

    /// Turns a picture upright.
    pub fn apply(self, pixels: Pixels) -> Pixels {
        if self == Self::UPRIGHT {
            return pixels;
        }
        let (w, h, count) = (pixels.width as usize, pixels.height as usize, pixels.channels.count());
        let (width, height) = if self.swaps_sides() { (h, w) } else { (w, h) };
        let mut bytes = Vec::with_capacity(pixels.bytes.len());
        for y in 0..height {
            for x in 0..width {
                let (sx, sy) = self.source_of(x, y, w, h);
                let at = (sy * w + sx) * count;
                bytes.extend_from_slice(pixels.bytes.get(at..at + count).unwrap_or_default());
            }
        }
        Pixels { width: width as u32, height: height as u32, channels: pixels.channels, bytes }
    }

    /// Where in the stored picture of `w` by `h` the upright picture's pixel at `x`, `y` is.
    fn source_of(self, x: usize, y: usize, w: usize, h: usize) -> (usize, usize) {
        match self.0 {
            2 => (w - 1 - x, y),
            3 => (w - 1 - x, h - 1 - y),
            4 => (x, h - 1 - y),
            5 => (y, x),
            6 => (y, h - 1 - x),
            7 => (w - 1 - y, h - 1 - x),
            8 => (w - 1 - y, x),
            _ => (x, y),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::Channels;

    /// The TIFF structure of EXIF with nothing but an orientation.
    fn exif(value: u8) -> Vec<u8> {
        let mut tiff = b"II*\0\x08\0\0\0\x01\0".to_vec();
        tiff.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, value, 0, 0, 0, 0, 0, 0, 0]);
        tiff
    }

    #[test]
    fn orientations_are_read_and_nonsense_is_upright() {
        assert_eq!(Orientation::from_exif(&exif(6)), Orientation(6));
        assert_eq!(Orientation::from_exif(&[b"Exif\0\0".as_slice(), &exif(3)].concat()), Orientation(3));
        for nonsense in [&exif(0)[..], &exif(9), b"", b"II*\0", b"xx"] {
            assert_eq!(Orientation::from_exif(nonsense), Orientation::UPRIGHT);
        }
    }

    #[test]
    fn pictures_are_turned_upright() {
        // ab
        // cd
        // ef
        let stored = Pixels { width: 2, height: 3, channels: Channels::Gray, bytes: b"abcdef".to_vec() };
        let upright = |value| {
            let turned = Orientation(value).apply(stored.clone());
            (turned.width, String::from_utf8(turned.bytes).unwrap())
        };
        assert_eq!(upright(1), (2, "abcdef".into()));
        assert_eq!(upright(2), (2, "badcfe".into()));
        assert_eq!(upright(3), (2, "fedcba".into()));
        assert_eq!(upright(4), (2, "efcdab".into()));
        assert_eq!(upright(5), (3, "acebdf".into()));
        assert_eq!(upright(6), (3, "ecafdb".into()));
        assert_eq!(upright(7), (3, "fdbeca".into()));
        assert_eq!(upright(8), (3, "bdface".into()));
    }
}
