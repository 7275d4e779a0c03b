//! From figures to places on a drawing.

/// An axis.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) name: String,
    low: f64,
    high: f64,
    is_logarithmic: bool,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// One that shows these figures with equal factors at equal distances, and ends a little outside of them.
    pub(super) fn logarithmic(name: &str, figures: impl Iterator<Item = f64>) -> Self {
        let (low, high) = ends(figures.filter(|figure| *figure > 0.0));
        let (low, high) = (low / 1.25, high * 1.25);
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        // With few decades there is room for more.
        let steps: &[f64] = if high / low > 2000.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let ticks = decades.flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade)));
        let ticks = ticks.filter(|tick| (low..=high).contains(tick)).map(|tick| (tick, short(tick))).collect();
        Self { name: name.to_owned(), low, high, is_logarithmic: true, ticks }
    }

    /// One from zero with equal steps at equal distances.
    pub(super) fn linear(name: &str, figures: impl Iterator<Item = f64>) -> Self {
        let (_, high) = ends(figures);
        let rough = high / 6.0;
        let decade = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * decade).find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let ticks = (0..=7).map(|tick| f64::from(tick) * step).filter(|tick| *tick <= high * 1.02);
        let ticks = ticks.map(|tick| (tick, short(tick))).collect();
        Self { name: name.to_owned(), low: 0.0, high: high * 1.02, is_logarithmic: false, ticks }
    }

    /// One with these ticks alone, which end it.
    pub(super) fn of_ticks(name: &str, ticks: Vec<(f64, String)>) -> Self {
        let (low, high) = ends(ticks.iter().map(|(at, _)| *at));
        Self { name: name.to_owned(), low, high, is_logarithmic: false, ticks }
    }

    /// The place of a figure, from 0 to 1.
    pub(super) fn place(&self, figure: f64) -> f64 {
        let of = |figure: f64| if self.is_logarithmic { figure.max(self.low).ln() } else { figure };
        (of(figure) - of(self.low)) / (of(self.high) - of(self.low))
    }

    /// Places with what stands there.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, &str)> {
        self.ticks.iter().map(|(at, text)| (self.place(*at), text.as_str()))
    }
}

fn ends(figures: impl Iterator<Item = f64>) -> (f64, f64) {
    figures.fold((f64::MAX, f64::MIN), |(low, high), figure| (low.min(figure), high.max(figure)))
}

/// `20k` for 20,000.
pub(super) fn short(figure: f64) -> String {
    match figure {
        figure if figure >= 1e6 => format!("{}M", figure / 1e6),
        figure if figure >= 1e4 => format!("{}k", figure / 1e3),
        figure => format!("{}", (figure * 1e6).round() / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_lie_between_the_ends_and_ticks_are_round() {
        let axis = Axis::logarithmic("us", [70.0, 9000.0].into_iter());
        assert!(axis.place(70.0) > 0.0 && axis.place(9000.0) < 1.0 && axis.place(70.0) < axis.place(71.0));
        let ticks: Vec<&str> = axis.ticks().map(|(_, text)| text).collect();
        assert_eq!(ticks, ["100", "200", "500", "1000", "2000", "5000", "10k"]);
        let axis = Axis::linear("requests/s", [119_562.0].into_iter());
        let ticks: Vec<&str> = axis.ticks().map(|(_, text)| text).collect();
        assert_eq!(ticks, ["0", "20k", "40k", "60k", "80k", "100k", "120k"]);
    }
}
