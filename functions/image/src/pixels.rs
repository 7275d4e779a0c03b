//! A decoded picture: 8 bits a channel, rows from the top.

/// The channels of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One: gray.
    Gray,
    /// Three.
    Rgb,
    /// Three and alpha.
    Rgba,
}

impl Channels {
    /// How many there are, and so how many bytes a pixel has.
    pub fn count(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// A decoded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The channels of a pixel.
    pub channels: Channels,
    /// `width * height * channels` bytes.
    pub bytes: Vec<u8>,
}

impl Pixels {
    /// The same without alpha, laid on white, for formats that have none.
    pub fn flattened(self) -> Self {
        if self.channels != Channels::Rgba {
            return self;
        }
        let (pixels, _) = self.bytes.as_chunks::<4>();
        let blend = |color: u8, alpha: u8| {
            let (color, alpha) = (u32::from(color), u32::from(alpha));
            ((color * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        let bytes = pixels.iter().flat_map(|[r, g, b, a]| [blend(*r, *a), blend(*g, *a), blend(*b, *a)]).collect();
        Self { channels: Channels::Rgb, bytes, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparency_becomes_white() {
        let bytes = vec![0, 0, 0, 0, 10, 20, 30, 255, 0, 0, 0, 128];
        let pixels = Pixels { width: 3, height: 1, channels: Channels::Rgba, bytes };
        assert_eq!(pixels.flattened().bytes, [255, 255, 255, 10, 20, 30, 127, 127, 127]);
    }
}
