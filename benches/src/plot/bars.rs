//! Bars that lie, each with its name before it, its figure behind it and the spread of its rounds over its end.

use super::{
    axis::Axis,
    svg::{Anchor, Svg, class_of},
};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 310.0;
const RIGHT: f64 = 120.0;
const TOP: f64 = 70.0;
const ROW: f64 = 27.0;
const BOTTOM: f64 = 52.0;

/// A bar.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) figure: f64,
    /// The lowest and the highest round.
    pub(super) ends: (f64, f64),
    /// What stands behind it.
    pub(super) text: String,
}

/// Draws them from above to below.
pub(super) fn draw(title: &str, subtitle: &str, axis: &Axis, bars: &[Bar]) -> String {
    let floor = TOP + ROW * bars.len() as f64;
    let mut svg = Svg::new(WIDTH, floor + BOTTOM);
    svg.text("ink title", Anchor::Start, (20.0, 28.0), title);
    svg.text("faint", Anchor::Start, (20.0, 47.0), subtitle);
    let x = |figure: f64| LEFT + axis.place(figure) * (WIDTH - LEFT - RIGHT);
    for (place, text) in axis.ticks() {
        let at = LEFT + place * (WIDTH - LEFT - RIGHT);
        svg.line("grid", (at, TOP - 6.0), (at, floor));
        svg.text("faint", Anchor::Middle, (at, floor + 18.0), text);
    }
    svg.text("faint", Anchor::Middle, (f64::midpoint(LEFT, WIDTH - RIGHT), floor + 38.0), &axis.name);
    for (bar, row) in bars.iter().zip(0..) {
        let y = TOP + ROW * f64::from(row);
        let middle = y + ROW / 2.0 - 2.0;
        svg.text("ink", Anchor::End, (LEFT - 10.0, middle + 4.0), &bar.name);
        svg.bar(class_of(&bar.name), (LEFT, y), x(bar.figure) - LEFT, ROW - 6.0);
        svg.line("axis whisker", (x(bar.ends.0), middle), (x(bar.ends.1), middle));
        svg.text("ink", Anchor::Start, (x(bar.ends.1) + 8.0, middle + 4.0), &bar.text);
    }
    svg.finish()
}
