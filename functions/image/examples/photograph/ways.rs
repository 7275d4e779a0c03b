//! The two ways to a smaller picture: decoded at a reduced size and then resampled, as the function does, or decoded in full.

use gust_sdk::Error;
use image::{
    decode::Source,
    geometry::{self, Plan},
    options::Options,
    pixels::Pixels,
    resize::resize,
};

/// How a picture is decoded before it is resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As small as the answer allows.
    Shrunk,
    /// As it is.
    Whole,
}

impl Way {
    /// The picture at the size that `options` ask for.
    pub fn resized(self, picture: &[u8], options: &Options) -> Result<Pixels, Error> {
        let source = Source::open(picture)?;
        let plan = geometry::plan(source.size(), false, options);
        let decoded = match self {
            Self::Shrunk => source.decode(&plan)?,
            Self::Whole => source.decode(&Plan { target: plan.source, ..plan })?,
        };
        resize(decoded, &plan)
    }
}
