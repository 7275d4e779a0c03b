//! Choosing between forms of an answer by the client's `Accept` header (RFC 9110, section 12.5.1).

use http::{HeaderMap, header};

/// The one of `offers` (media types, the preferred first) that the client likes best; none where it accepts none of them.
/// A client without the header accepts all.
///
/// ```
/// use gust_sdk::{HeaderMap, accept, header};
///
/// let headers = HeaderMap::from_iter([(header::ACCEPT, "image/*;q=0.5, image/webp".parse().unwrap())]);
/// assert_eq!(accept::best(&headers, &["image/jpeg", "image/webp"]), Some("image/webp"));
/// ```
pub fn best<'a>(headers: &HeaderMap, offers: &[&'a str]) -> Option<&'a str> {
    let mut ranges = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    if ranges.peek().is_none() {
        return offers.first().copied();
    }
    let ranges: Vec<Range<'_>> = ranges.flat_map(|value| value.split(',')).filter_map(Range::parse).collect();
    let mut best = None;
    for offer in offers {
        let quality = quality(&ranges, offer);
        if quality > best.map_or(0, |(quality, _)| quality) {
            best = Some((quality, *offer));
        }
    }
    best.map(|(_, offer)| offer)
}

/// One item of the header.
struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    /// Thousandths.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut pieces = text.split(';').map(str::trim);
        let (main, sub) = pieces.next()?.split_once('/')?;
        let quality = pieces.find_map(|piece| piece.strip_prefix("q=").or_else(|| piece.strip_prefix("Q=")));
        let quality = match quality {
            Some(text) => (text.parse::<f32>().ok()?.clamp(0.0, 1.0) * 1000.0) as u16,
            None => 1000,
        };
        Some(Self { main, sub, quality })
    }

    /// How closely it names the type: 2 exactly, 1 by its main type, 0 as anything; none where it does not.
    fn closeness(&self, offer: &str) -> Option<u8> {
        let (main, sub) = offer.split_once('/')?;
        match (self.main, self.sub) {
            (m, s) if m.eq_ignore_ascii_case(main) && s.eq_ignore_ascii_case(sub) => Some(2),
            (m, "*") if m.eq_ignore_ascii_case(main) => Some(1),
            ("*", "*") => Some(0),
            _ => None,
        }
    }
}

/// The quality of the closest range counts, not the highest.
fn quality(ranges: &[Range<'_>], offer: &str) -> u16 {
    let close = ranges.iter().filter_map(|range| Some((range.closeness(offer)?, range.quality)));
    close.max().map_or(0, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: &[&str] = &["image/jpeg", "image/png", "image/webp"];

    fn chosen(accept: &'static str) -> Option<&'static str> {
        best(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]), OFFERS)
    }

    #[test]
    fn the_best_accepted_offer_is_chosen() {
        assert_eq!(best(&HeaderMap::new(), OFFERS), Some("image/jpeg"));
        assert_eq!(chosen("*/*"), Some("image/jpeg"));
        assert_eq!(chosen("image/png"), Some("image/png"));
        assert_eq!(chosen("image/png;q=0.8, IMAGE/webp;q=0.9"), Some("image/webp"));
        assert_eq!(chosen("image/*, image/jpeg;q=0"), Some("image/png"));
        assert_eq!(chosen("text/html"), None);
        assert_eq!(chosen("nonsense"), None);
    }
}
