//! Lists of what functions keep, which a host gives a page at a time.

use anyhow::Result;
use gust_core::api::PlaceList;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{client::Client, output};

/// All of the list at `path` that begins so. `parts` takes a page apart: what is on it, and after what the next one begins.
pub fn all<Page: DeserializeOwned, Item>(
    client: &Client,
    path: &str,
    prefix: &str,
    parts: impl Fn(Page) -> (Vec<Item>, Option<String>),
) -> Result<Vec<Item>> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let query = format!("?prefix={}&after={}", encoded(prefix), encoded(&after));
        let (items, next) = parts(client.get(&format!("{path}{query}"))?);
        all.extend(items);
        match next {
            Some(next) => after = next,
            None => return Ok(all),
        }
    }
}

/// Prints the buckets or containers at `path`.
pub fn print_places(client: &Client, path: &str, prefix: &str, as_json: bool, title: &str) -> Result<()> {
    let names = all(client, path, prefix, |page: PlaceList| (page.names, page.next))?;
    print(names, as_json, &[title], |name| vec![name])
}

/// Prints a list: a table for people, or JSON.
pub fn print<Item: Serialize>(
    items: Vec<Item>,
    as_json: bool,
    titles: &[&str],
    row: impl Fn(Item) -> Vec<String>,
) -> Result<()> {
    if as_json {
        return output::print(&format!("{}\n", serde_json::to_string(&items)?));
    }
    let head = titles.iter().map(|title| (*title).to_owned()).collect();
    let rows: Vec<_> = std::iter::once(head).chain(items.into_iter().map(row)).collect();
    output::print(&output::table(&rows))
}

/// Any text, as a part of a URL.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
