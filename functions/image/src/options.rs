//! What a caller may ask for.

use gust_sdk::{Error, HeaderMap, StatusCode, accept};
use serde::Deserialize;

/// The largest side of an answer, in pixels.
pub const SIDE_MAX: u32 = 16_384;

/// The query's parameters.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Width in pixels.
    pub w: Option<u32>,
    /// Height in pixels.
    pub h: Option<u32>,
    /// What to do with both.
    #[serde(default)]
    pub fit: Fit,
    /// Whether a small picture may become larger.
    #[serde(default)]
    pub enlarge: bool,
    /// The answer's format.
    pub format: Option<Format>,
    /// JPEG's quality.
    #[serde(default = "default_quality")]
    pub quality: u8,
}

fn default_quality() -> u8 {
    80
}

impl Default for Options {
    fn default() -> Self {
        Self { w: None, h: None, fit: Fit::Contain, enlarge: false, format: None, quality: default_quality() }
    }
}

/// How a picture fits a width and a height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Whole, within them.
    #[default]
    Contain,
    /// Filling them, the rest cut off on both sides alike.
    Cover,
    /// Exactly them, out of proportion.
    Stretch,
}

/// A format that can be read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG.
    #[serde(alias = "jpg")]
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
}

impl Format {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }
}

impl Options {
    /// Checks what can be checked without a picture.
    pub fn check(&self) -> Result<(), Error> {
        for (name, side) in [("w", self.w), ("h", self.h)] {
            if side.is_some_and(|side| side == 0 || side > SIDE_MAX) {
                return Err(Error::bad_request(format!("{name} is 1 to {SIDE_MAX} pixels")));
            }
        }
        if self.quality == 0 || self.quality > 100 {
            return Err(Error::bad_request("quality is 1 to 100"));
        }
        Ok(())
    }

    /// The answer's format: as asked for, else as accepted, the picture's own being preferred.
    pub fn format(&self, headers: &HeaderMap, own: Format) -> Result<Format, Error> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        let mut offers = [own, Format::Jpeg, Format::Png, Format::Webp].to_vec();
        offers.dedup();
        let types: Vec<_> = offers.iter().map(|format| format.media_type()).collect();
        let best = accept::best(headers, &types);
        offers.into_iter().find(|format| Some(format.media_type()) == best).ok_or_else(|| {
            Error::new(StatusCode::NOT_ACCEPTABLE, "Accept allows none of image/jpeg, image/png and image/webp")
        })
    }
}

#[cfg(test)]
mod tests {
    use gust_sdk::header;

    use super::*;

    #[test]
    fn the_format_is_asked_for_or_accepted_or_kept() {
        let accepting = |value: &'static str| HeaderMap::from_iter([(header::ACCEPT, value.parse().unwrap())]);
        let options = Options::default();
        assert_eq!(options.format(&HeaderMap::new(), Format::Png).unwrap(), Format::Png);
        assert_eq!(options.format(&accepting("*/*"), Format::Webp).unwrap(), Format::Webp);
        assert_eq!(options.format(&accepting("image/webp,*/*;q=0.8"), Format::Jpeg).unwrap(), Format::Webp);
        assert_eq!(options.format(&accepting("text/html"), Format::Jpeg).unwrap_err().status(), 406);
        let asked = Options { format: Some(Format::Png), ..Options::default() };
        assert_eq!(asked.format(&accepting("text/html"), Format::Jpeg).unwrap(), Format::Png);
    }

    #[test]
    fn senseless_sizes_are_refused() {
        assert!(Options { w: Some(0), ..Options::default() }.check().is_err());
        assert!(Options { h: Some(SIDE_MAX + 1), ..Options::default() }.check().is_err());
        assert!(Options { quality: 0, ..Options::default() }.check().is_err());
    }
}
