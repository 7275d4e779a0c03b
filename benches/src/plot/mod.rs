//! The plots of the bench, as SVG in `target/bench`.

mod axis;
mod bars;
mod lines;
mod svg;

use anyhow::Result;
use axis::{Axis, short};
use bars::Bar;
use lines::Line;

use crate::{
    generator::PERCENTS,
    load::{BARE_HYPER, TYPICAL_SHARE, figure},
    record::Run,
    report,
};

/// How many requests each server answers in a second.
pub fn throughput(run: &Run) -> Result<()> {
    let ceiling = run.median(BARE_HYPER, None, "per_second");
    let bar = |side: &str| {
        let (figure, rounds) = (run.median(side, None, "per_second"), run.rounds(side, None, "per_second"));
        let ends = rounds.iter().fold((figure, figure), |(low, high), round| (low.min(*round), high.max(*round)));
        Bar { name: side.to_owned(), figure, ends, text: format!("{figure:.0}  ({:.2})", figure / ceiling) }
    };
    let bars: Vec<Bar> = run.sides().into_iter().map(bar).collect();
    let axis = Axis::linear("requests/s, one core serving", bars.iter().map(|bar| bar.ends.1));
    let subtitle = format!("Median and range of the rounds; in parentheses, of bare hyper. {}", run.machine);
    report::write("throughput.svg", &bars::draw("Throughput: hello, 32 connections", &subtitle, &axis, &bars))
}

/// The latency of all of a server's requests at 70 % of what it can take.
pub fn distribution(run: &Run) -> Result<()> {
    let across = |percent: f64| -(1.0 - percent / 100.0).log10();
    let point = |side: &str, percent| (across(percent), run.median(side, Some(TYPICAL_SHARE), &figure(percent)));
    let line = |side: &str| {
        // What is rarer than one in ten thousand takes more requests than a turn has.
        let percents = PERCENTS.into_iter().filter(|percent| *percent <= 99.9);
        Line { name: side.to_owned(), points: percents.map(|percent| point(side, percent)).collect() }
    };
    let lines: Vec<Line> = run.sides().into_iter().map(line).collect();
    let ticks = [10.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9];
    let x = Axis::of_ticks("percentile", ticks.map(|percent| (across(percent), format!("{percent} %"))).to_vec());
    let y = Axis::logarithmic("latency, us", figures(&lines));
    let title = "Latency of hello at 70 % of what each server can take";
    let subtitle = format!("Open loop, random arrivals, timed from when a request was due. {}", run.machine);
    report::write("latency-distribution.svg", &lines::draw(title, &subtitle, (&x, &y), &lines))
}

/// The 99th percentile of the latency against the load that is offered.
pub fn offered(run: &Run) -> Result<()> {
    let line = |side: &str| {
        let at = |share: f64, figure: &str| run.median(side, Some(share), figure);
        let points = run.points(side).into_iter().map(|share| (at(share, "offered"), at(share, &figure(99.0))));
        Line { name: side.to_owned(), points: points.collect() }
    };
    let lines: Vec<Line> = run.sides().into_iter().map(line).collect();
    let across = lines.iter().flat_map(|line| line.points.iter().map(|point| point.0));
    let x = Axis::logarithmic("offered, requests/s", across);
    let y = Axis::logarithmic("99th percentile of the latency, us", figures(&lines));
    let title = "Latency of hello against offered load";
    let subtitle = format!("At 10 to 90 % of what each server can take; open loop, random arrivals. {}", run.machine);
    report::write("latency-offered.svg", &lines::draw(title, &subtitle, (&x, &y), &lines))
}

/// What a request costs against the pages that it writes to.
pub fn pages(run: &Run) -> Result<()> {
    let line = |side: &str| {
        let points = run.points(side).into_iter().map(|pages| (pages, run.median(side, Some(pages), "us")));
        Line { name: side.to_owned(), points: points.collect() }
    };
    let lines: Vec<Line> = run.sides().into_iter().map(line).collect();
    let written: Vec<f64> = run.sides().first().map(|side| run.points(side)).unwrap_or_default();
    let x = Axis::logarithmic("pages of 4 KiB that a request writes to", written.iter().copied());
    let y = Axis::logarithmic("us a request, without HTTP", figures(&lines));
    let most = short(written.last().copied().unwrap_or_default());
    let title = format!("Requests that write to 1 to {most} pages");
    let subtitle = format!("One thread, no HTTP. {}", run.machine);
    report::write("scale-pages.svg", &lines::draw(&title, &subtitle, (&x, &y), &lines))
}

fn figures(lines: &[Line]) -> impl Iterator<Item = f64> {
    lines.iter().flat_map(|line| line.points.iter().map(|point| point.1))
}
