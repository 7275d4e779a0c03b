//! Lines over two axes, each with its name at its end.

use super::{
    axis::Axis,
    svg::{Anchor, Svg, class_of},
};

const WIDTH: f64 = 920.0;
const HEIGHT: f64 = 470.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 340.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 60.0;

/// The least distance of two names, from above to below.
const NAME_HEIGHT: f64 = 16.0;

/// A line.
pub(super) struct Line {
    pub(super) name: String,
    /// In the axes' figures, from left to right.
    pub(super) points: Vec<(f64, f64)>,
}

/// Draws them.
pub(super) fn draw(title: &str, subtitle: &str, (x, y): (&Axis, &Axis), lines: &[Line]) -> String {
    let mut svg = Svg::new(WIDTH, HEIGHT);
    svg.text("ink title", Anchor::Start, (20.0, 28.0), title);
    svg.text("faint", Anchor::Start, (20.0, 47.0), subtitle);
    frame(&mut svg, x, y);
    let place = |(across, up): (f64, f64)| (at_x(x.place(across)), at_y(y.place(up)));
    let mut names = Vec::new();
    for line in lines {
        let points: Vec<(f64, f64)> = line.points.iter().copied().map(place).collect();
        let class = class_of(&line.name);
        svg.path(class, &points);
        for point in &points {
            svg.dot(class, *point);
        }
        names.extend(points.last().map(|last| (line.name.as_str(), *last)));
    }
    for Name { text, end, at } in apart(names) {
        svg.line("axis", (end.0 + 5.0, end.1), (at.0 - 3.0, at.1));
        svg.text(&format!("label {}", class_of(text)), Anchor::Start, (at.0, at.1 + 4.0), text);
    }
    svg.finish()
}

fn at_x(place: f64) -> f64 {
    LEFT + place * (WIDTH - LEFT - RIGHT)
}

fn at_y(place: f64) -> f64 {
    HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)
}

fn frame(svg: &mut Svg, x: &Axis, y: &Axis) {
    for (place, text) in y.ticks() {
        svg.line("grid", (LEFT, at_y(place)), (WIDTH - RIGHT, at_y(place)));
        svg.text("faint", Anchor::End, (LEFT - 8.0, at_y(place) + 4.0), text);
    }
    for (place, text) in x.ticks() {
        svg.line("grid", (at_x(place), TOP), (at_x(place), HEIGHT - BOTTOM));
        svg.text("faint", Anchor::Middle, (at_x(place), HEIGHT - BOTTOM + 18.0), text);
    }
    svg.line("axis", (LEFT, HEIGHT - BOTTOM), (WIDTH - RIGHT, HEIGHT - BOTTOM));
    svg.text("faint", Anchor::Middle, (f64::midpoint(LEFT, WIDTH - RIGHT), HEIGHT - 18.0), &x.name);
    svg.upright("faint", (22.0, f64::midpoint(TOP, HEIGHT - BOTTOM)), &y.name);
}

/// A name, where its line ends, and where it stands.
struct Name<'a> {
    text: &'a str,
    end: (f64, f64),
    at: (f64, f64),
}

/// The names right of all lines, as high as their lines end, or a little higher or lower where another's is in the way.
fn apart(mut names: Vec<(&str, (f64, f64))>) -> Vec<Name<'_>> {
    names.sort_by(|one, other| one.1.1.total_cmp(&other.1.1));
    let mut heights: Vec<f64> = Vec::new();
    for (_, (_, y)) in &names {
        let least = heights.last().map_or(TOP, |above| above + NAME_HEIGHT);
        heights.push(y.max(least));
    }
    // Those at the bottom push back up what would leave the drawing.
    let mut limit = HEIGHT - BOTTOM;
    for height in heights.iter_mut().rev() {
        *height = height.min(limit);
        limit = *height - NAME_HEIGHT;
    }
    let placed = names.into_iter().zip(heights);
    placed.map(|((text, end), y)| Name { text, end, at: (WIDTH - RIGHT + 16.0, y) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lie_on_each_other() {
        let ends = vec![("a", (1.0, 100.0)), ("b", (1.0, 101.0)), ("c", (1.0, 409.0)), ("d", (1.0, 410.0))];
        let placed = apart(ends);
        let heights: Vec<f64> = placed.iter().map(|name| name.at.1).collect();
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= NAME_HEIGHT), "{heights:?}");
        assert!(heights[3] <= HEIGHT - BOTTOM);
    }
}
