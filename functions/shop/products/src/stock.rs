//! What is left of each product, in the bucket `stock`, changed by compare and swap.
//!
//! A number alone could not tell a purchase from the same one asked for again, so each product remembers which of the latest orders
//! took how many. `gust kv set stock teapot 12` sets a number by hand.

use std::collections::VecDeque;

use gust_sdk::{
    Error,
    kv::{self, Bucket},
};
use serde::{Deserialize, Serialize};

/// How many orders a product remembers: far more than can be on their way at the same time.
const ORDERS_MAX: usize = 256;

#[derive(Default, Serialize, Deserialize)]
struct Stock {
    left: u32,
    /// Orders and how many each took, the latest last.
    taken: VecDeque<(u64, u32)>,
}

impl Stock {
    /// As it is kept, or as set by hand, or as it is in the beginning.
    fn read(kept: Option<&[u8]>, initial: u32) -> Self {
        let kept = kept.unwrap_or_default();
        let by_hand = || std::str::from_utf8(kept).ok()?.trim().parse().ok();
        let beginning = || Self { left: by_hand().unwrap_or(initial), taken: VecDeque::new() };
        serde_json::from_slice(kept).unwrap_or_else(|_| beginning())
    }

    /// How many are left, where these are not enough.
    fn take(&mut self, order: u64, quantity: u32) -> Option<u32> {
        if self.taken.iter().any(|(by, _)| *by == order) {
            return None;
        }
        let Some(left) = self.left.checked_sub(quantity) else { return Some(self.left) };
        self.left = left;
        self.taken.push_back((order, quantity));
        if self.taken.len() > ORDERS_MAX {
            self.taken.pop_front();
        }
        None
    }

    fn give_back(&mut self, order: u64) {
        let of_order = |(by, quantity): &(u64, u32)| if *by == order { *quantity } else { 0 };
        self.left = self.left.saturating_add(self.taken.iter().map(of_order).sum());
        self.taken.retain(|(by, _)| *by != order);
    }
}

fn bucket() -> Result<Bucket, Error> {
    kv::bucket("stock")
}

pub fn left(id: &str, initial: u32) -> Result<u32, Error> {
    Ok(Stock::read(bucket()?.get(id)?.as_deref(), initial).left)
}

/// Takes some for an order, once. How many are left, where these are not enough.
pub fn take(id: &str, initial: u32, order: u64, quantity: u32) -> Result<Option<u32>, Error> {
    let mut short = None;
    change(id, initial, |stock| short = stock.take(order, quantity))?;
    Ok(short)
}

/// Gives back whatever an order took.
pub fn give_back(id: &str, initial: u32, order: u64) -> Result<(), Error> {
    change(id, initial, |stock| stock.give_back(order))
}

fn change(id: &str, initial: u32, mut change: impl FnMut(&mut Stock)) -> Result<(), Error> {
    let changed = bucket()?.update(id, |kept| {
        let mut stock = Stock::read(kept.as_deref(), initial);
        change(&mut stock);
        serde_json::to_vec(&stock).unwrap_or_default()
    });
    changed.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_by_hand_counts() {
        assert_eq!(Stock::read(None, 7).left, 7);
        assert_eq!(Stock::read(Some(b"12\n"), 7).left, 12);
        assert_eq!(Stock::read(Some(br#"{"left":3,"taken":[[1,2]]}"#), 7).left, 3);
        assert_eq!(Stock::read(Some(b"nonsense"), 7).left, 7);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut stock = Stock { left: u32::MAX, ..Stock::default() };
        (0..1000).for_each(|order| assert_eq!(stock.take(order, 1), None));
        assert_eq!((stock.taken.len(), stock.left), (ORDERS_MAX, u32::MAX - 1000));
    }
}
