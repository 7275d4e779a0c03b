//! Against the number of pages that a request writes to: where putting an instance back stops paying, and what the host
//! does then. Without HTTP.

use std::time::Instant;

use anyhow::Result;
use gust_core::InstanceMode;

use crate::{
    Side as _,
    hosted::Hosted,
    plot,
    record::{Record, Run},
    report::Table,
};

pub(super) const STAGE: &str = "scale-pages";

const PAGES: [u64; 9] = [1, 10, 100, 300, 1000, 2000, 4000, 5000, 10_000];

const REWOUND: &str = "gust, put back";
const FRESH: &str = "gust, a new instance each";

pub(super) fn run(quick: bool) -> Result<()> {
    let rounds = if quick { 3 } else { 9 };
    let how = format!("one thread, no HTTP; medians of {rounds} rounds in turns. A page has 4 KiB.");
    let mut run = Run::new(STAGE, how, quick);
    for pages in PAGES {
        let (path, at) = (format!("/?n={pages}"), Some(pages as f64));
        let mut sides = [
            Hosted::new(REWOUND, "pages", &path, InstanceMode::Rewind),
            Hosted::new(FRESH, "pages", &path, InstanceMode::Fresh),
        ];
        let requests = (100_000 / (pages + 50)).clamp(20, 1000);
        for side in &mut sides {
            // Long enough for the host to decide.
            side.answer(100);
        }
        for _ in 0..rounds {
            for side in &mut sides {
                let began = Instant::now();
                side.answer(requests);
                let us = began.elapsed().as_secs_f64() * 1e6 / requests as f64;
                let goes_on = f64::from(u8::from(side.is_rewound()));
                run.records.push(Record::new(side.name(), at, &[("us", us), ("is_rewound", goes_on)]));
            }
        }
    }
    run.save()?;
    show(&run)
}

pub(super) fn show(run: &Run) -> Result<()> {
    plot::pages(run)?;
    table(run).publish(run)
}

fn table(run: &Run) -> Table {
    let columns = ["pages written", "put back, us", "new each, us", "put back to new", "what the host does"];
    let mut table = Table::new(&columns);
    for pages in run.points(REWOUND) {
        let us = |side| run.median(side, Some(pages), "us");
        let goes_on = run.median(REWOUND, Some(pages), "is_rewound") > 0.0;
        table.row(&[
            format!("{pages}"),
            format!("{:.1}", us(REWOUND)),
            format!("{:.1}", us(FRESH)),
            format!("{:.2}", us(REWOUND) / us(FRESH)),
            if goes_on { "puts back" } else { "makes new ones" }.to_owned(),
        ]);
    }
    table
}
