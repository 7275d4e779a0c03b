//! A drawing in SVG that is readable on light and on dark pages: it has a ground of its own, and colours for both.

use std::fmt::Write as _;

/// Colours by class, on light and on dark ground.
const COLOURS: [(&str, &str, &str); 7] = [
    ("c-bare", "#6b7280", "#9ca3af"),
    ("c-gust", "#1d4ed8", "#6ea8fe"),
    ("c-fresh", "#0891b2", "#22d3ee"),
    ("c-raw", "#7c3aed", "#c4a5ff"),
    ("c-peer", "#c2410c", "#fb923c"),
    ("c-reused", "#a16207", "#facc15"),
    ("c-other", "#be185d", "#f472b6"),
];

/// What is neither a line nor a bar, in the same way: class, property, light, dark.
const PLAIN: [(&str, &str, &str, &str); 5] = [
    ("ground", "fill", "#ffffff", "#0d1117"),
    ("ink", "fill", "#1f2328", "#e6edf3"),
    ("faint", "fill", "#59636e", "#9198a1"),
    ("grid", "stroke", "#e1e4e8", "#2d333b"),
    ("axis", "stroke", "#8c959f", "#6e7681"),
];

/// A drawing.
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text stands from its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    pub(super) fn text(&mut self, class: &str, anchor: Anchor, at: (f64, f64), text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y) = at;
        self.add(&format!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#,
            xml(text)
        ));
    }

    /// Reads from below to above.
    pub(super) fn upright(&mut self, class: &str, at: (f64, f64), text: &str) {
        let (x, y) = at;
        self.add(&format!(
            r#"<text class="{class}" transform="translate({x:.1} {y:.1}) rotate(-90)" text-anchor="middle">{}</text>"#,
            xml(text)
        ));
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.add(&format!(
            r#"<line class="{class}" x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}"/>"#,
            from.0, from.1, to.0, to.1
        ));
    }

    pub(super) fn bar(&mut self, class: &str, at: (f64, f64), width: f64, height: f64) {
        let (x, y) = at;
        self.add(&format!(
            r#"<rect class="bar {class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2"/>"#
        ));
    }

    pub(super) fn dot(&mut self, class: &str, at: (f64, f64)) {
        self.add(&format!(r#"<circle class="bar {class}" cx="{:.1}" cy="{:.1}" r="3"/>"#, at.0, at.1));
    }

    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.add(&format!(r#"<polyline class="curve {class}" points="{}"/>"#, points.join(" ")));
    }

    fn add(&mut self, element: &str) {
        self.body += element;
        self.body.push('\n');
    }

    pub(super) fn finish(self) -> String {
        let (width, height) = (self.width, self.height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"system-ui, 'DejaVu Sans', sans-serif\" font-size=\"12\">\n<style>\n{}\
             @media (prefers-color-scheme: dark) {{\n{}}}\n</style>\n\
             <rect class=\"ground\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>\n{}</svg>\n",
            style(|light, _| light),
            colours(|_, dark| dark),
            self.body
        )
    }
}

fn style(choose: fn(&'static str, &'static str) -> &'static str) -> String {
    let shapes = ".curve { fill: none; stroke-width: 2; stroke-linejoin: round; }\n\
                  .title { font-size: 15px; font-weight: 600; }\n.label { font-weight: 600; }\n\
                  .whisker { stroke-width: 1.5; }\n";
    format!("{shapes}{}", colours(choose))
}

fn colours(choose: fn(&'static str, &'static str) -> &'static str) -> String {
    let mut style = String::new();
    for (class, property, light, dark) in PLAIN {
        let _ = writeln!(style, ".{class} {{ {property}: {}; }}", choose(light, dark));
    }
    for (class, light, dark) in COLOURS {
        let colour = choose(light, dark);
        let _ = writeln!(
            style,
            ".curve.{class} {{ stroke: {colour}; }}\n.bar.{class}, .label.{class} {{ fill: {colour}; }}"
        );
    }
    style
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The colour of a side, the same on every plot.
pub(super) fn class_of(side: &str) -> &'static str {
    let has = |word: &str| side.contains(word);
    match side {
        _ if has("bare") => "c-bare",
        _ if has("gust") && has("new instance") => "c-fresh",
        _ if has("gust") && has("raw") => "c-raw",
        _ if has("gust") => "c-gust",
        _ if has("reused") => "c-reused",
        _ if has("wasmtime") => "c-peer",
        _ => "c-other",
    }
}
