//! Middles and spreads of rounds.

/// What makes the standard error of a mean that of a median, for errors that are distributed normally.
const MEDIAN_TO_MEAN: f64 = 1.2533;

/// What makes the median of absolute deviations a standard deviation, for the same.
const DEVIATION: f64 = 1.4826;

/// The middle one of some numbers; the upper middle one of an even count; not a number where there is none.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// By how much the median of these rounds is likely off: its standard error, as a share of it. It is taken from the middle of
/// the deviations, for one round that something else disturbed says nothing about the median.
pub fn relative_error(rounds: &[f64]) -> f64 {
    let middle = median(rounds.to_vec());
    let deviation = DEVIATION * median(rounds.iter().map(|round| (round - middle).abs()).collect());
    MEDIAN_TO_MEAN * deviation / (rounds.len() as f64).sqrt() / middle
}

/// The value that `percent` of these sorted ones do not exceed.
pub fn percentile(sorted: &[u32], percent: f64) -> u32 {
    // A little less, for 99.9 % of a thousand is not quite 999 in binary.
    let rank = (percent / 100.0 * sorted.len() as f64 - 1e-6).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).or(sorted.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends_are_found() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        let sorted: Vec<u32> = (1..=1000).collect();
        let found = [0.0, 50.0, 99.0, 99.9, 100.0].map(|percent| percentile(&sorted, percent));
        assert_eq!(found, [1, 500, 990, 999, 1000]);
        assert_eq!(percentile(&[], 50.0), 0);
    }

    #[test]
    fn more_rounds_make_the_median_surer() {
        let few = relative_error(&[9.0, 10.0, 11.0]);
        let many = relative_error(&[9.0, 10.0, 11.0, 9.0, 10.0, 11.0, 9.0, 10.0, 11.0]);
        assert!(many < few && few < 0.2, "{few} {many}");
        assert_eq!(relative_error(&[10.0, 10.0]), 0.0);
        let disturbed = relative_error(&[9.0, 10.0, 11.0, 9.0, 10.0, 11.0, 9.0, 10.0, 1.0]);
        assert!(disturbed < 0.1, "{disturbed}");
    }
}
