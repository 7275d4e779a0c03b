//! An order, from a purchase to its end.
//!
//! Every step can be done twice, so no lock is held and nothing is lost where one breaks off: the first of two equal purchases draws the
//! order's number and says what is in it, and whoever comes then goes on with that. The stock is taken once for a number, one
//! compare and swap decides how it ends, and what follows from that (the cart is emptied, or the stock given back) is done again
//! each time somebody asks.

use std::time::{SystemTime, UNIX_EPOCH};

use gust_sdk::{
    Error,
    kv::{self, Bucket},
    log,
};
use serde::{Deserialize, Serialize};
use shop_api::{Bought, Line, OrderLines, Purchase, Receipt, Wrong, is_session};

use crate::{services::Services, wrong};

/// The number of the first order is the next one.
const NUMBER_BEFORE: u64 = 1000;

/// How a purchase ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Bought(Receipt),
    Refused(Vec<Wrong>),
}

#[derive(Clone, Serialize, Deserialize)]
enum State {
    Open,
    Placed,
    Refused(Vec<Wrong>),
}

/// An order as it is kept.
#[derive(Clone, Serialize, Deserialize)]
struct Order {
    receipt: Receipt,
    cart: String,
    email: String,
    address: String,
    begun_unix_s: u64,
    state: State,
}

/// Buys what is in a cart, once for each key.
pub fn buy(purchase: &Purchase, services: &impl Services) -> Result<Outcome, Error> {
    if !is_session(&purchase.cart) || !is_session(&purchase.key) {
        return Err(Error::bad_request("the cart and the key are 32 hexadecimal digits each"));
    }
    let orders = kv::bucket("orders")?;
    if let Some(order) = begun(&orders, purchase)? {
        return finish(&orders, order, services);
    }
    match begin(&orders, purchase, services)? {
        Ok(order) => finish(&orders, order, services),
        // Where the same purchase came to its end meanwhile, that is what is wrong: the cart is empty.
        Err(wrong) => match begun(&orders, purchase)? {
            Some(order) => finish(&orders, order, services),
            None => Ok(Outcome::Refused(wrong)),
        },
    }
}

/// What an order of this cart bought.
pub fn receipt(number: u64, cart: &str) -> Result<Option<Receipt>, Error> {
    let order: Option<Order> = kv::bucket("orders")?.get_json(&order_key(number))?;
    let placed = |order: &Order| order.cart == cart && matches!(order.state, State::Placed);
    Ok(order.filter(placed).map(|order| order.receipt))
}

fn order_key(number: u64) -> String {
    format!("order:{number}")
}

fn purchase_key(purchase: &Purchase) -> String {
    format!("purchase:{}:{}", purchase.cart, purchase.key)
}

/// The order that the same purchase began before.
fn begun(orders: &Bucket, purchase: &Purchase) -> Result<Option<Order>, Error> {
    let Some(number) = orders.get_json::<u64>(&purchase_key(purchase))? else { return Ok(None) };
    orders.get_json(&order_key(number))
}

/// An open order, or what is wrong with the purchase.
fn begin(orders: &Bucket, purchase: &Purchase, services: &impl Services) -> Result<Result<Order, Vec<Wrong>>, Error> {
    let wrong = wrong::fields(purchase);
    if !wrong.is_empty() {
        return Ok(Err(wrong));
    }
    let cart = services.cart(&purchase.cart)?;
    let (lines, total_cents) = match wrong::priced(&cart, &services.products()?, purchase.seen_cents) {
        Ok(priced) => priced,
        Err(wrong) => return Ok(Err(vec![wrong])),
    };
    let number = NUMBER_BEFORE + u64::try_from(orders.increment("number", 1)?)?;
    let order = Order {
        receipt: Receipt { number, name: purchase.name.trim().to_owned(), lines, total_cents },
        cart: purchase.cart.clone(),
        email: purchase.email.trim().to_owned(),
        address: purchase.address.trim().to_owned(),
        begun_unix_s: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        state: State::Open,
    };
    claim(orders, purchase, order).map(Ok)
}

/// Makes an order that of its purchase, unless the same purchase has one: then it is that one.
fn claim(orders: &Bucket, purchase: &Purchase, order: Order) -> Result<Order, Error> {
    let own = order.receipt.number.to_string().into_bytes();
    orders.set_json(&order_key(order.receipt.number), &order)?;
    let first = orders.update(&purchase_key(purchase), |first| first.unwrap_or_else(|| own.clone()))?;
    if first == own {
        return Ok(order);
    }
    orders.delete(&order_key(order.receipt.number))?;
    begun(orders, purchase)?.ok_or_else(|| Error::failed("the order of the purchase is not there"))
}

/// Brings an order to its end, or does again what follows from that.
fn finish(orders: &Bucket, mut order: Order, services: &impl Services) -> Result<Outcome, Error> {
    let lines = order_lines(&order.receipt);
    if matches!(order.state, State::Open) {
        let short = services.take(&lines)?;
        let end = match short.as_slice() {
            [] => State::Placed,
            short => State::Refused(wrong::short(short, &order.receipt.lines)),
        };
        order = decide(orders, &order, &end)?;
    }
    match order.state {
        State::Placed => {
            // It is bought, whatever becomes of the cart.
            if let Err(error) = services.bought(&order.cart, &lines) {
                log::warn(format_args!("the cart of order {} keeps what was bought: {error}", order.receipt.number));
            }
            Ok(Outcome::Bought(order.receipt))
        }
        State::Refused(wrong) => services.give_back(&lines).map(|()| Outcome::Refused(wrong)),
        State::Open => Err(Error::failed("an open order was decided")),
    }
}

/// Ends an open order like this, where nobody has ended it otherwise.
fn decide(orders: &Bucket, order: &Order, end: &State) -> Result<Order, Error> {
    let decided = orders.update(&order_key(order.receipt.number), |kept| {
        let kept: Option<Order> = kept.and_then(|kept| serde_json::from_slice(&kept).ok());
        let mut kept = kept.unwrap_or_else(|| order.clone());
        if matches!(kept.state, State::Open) {
            kept.state = end.clone();
        }
        serde_json::to_vec(&kept).unwrap_or_default()
    })?;
    Ok(serde_json::from_slice(&decided)?)
}

fn order_lines(receipt: &Receipt) -> OrderLines {
    let line = |bought: &Bought| Line { product: bought.product.clone(), quantity: bought.quantity };
    OrderLines { order: receipt.number, lines: receipt.lines.iter().map(line).collect() }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use shop_api::{Cart, Product, Short};

    use super::*;

    /// Services with one product, that count and fail as they are told.
    #[derive(Default)]
    struct Fake {
        cart: RefCell<Vec<Line>>,
        left: Cell<u32>,
        taken: RefCell<Vec<u64>>,
        cart_is_broken: Cell<bool>,
    }

    impl Services for Fake {
        fn cart(&self, _: &str) -> Result<Cart, Error> {
            Ok(Cart { lines: self.cart.borrow().clone() })
        }

        fn products(&self) -> Result<Vec<Product>, Error> {
            let (id, name, about, alt) = ("mug".into(), "Mug".into(), String::new(), String::new());
            Ok(vec![Product { id, name, about, price_cents: 500, alt, left: self.left.get() }])
        }

        fn take(&self, order: &OrderLines) -> Result<Vec<Short>, Error> {
            if !self.taken.borrow().contains(&order.order) {
                let Some(left) = self.left.get().checked_sub(order.lines[0].quantity) else {
                    return Ok(vec![Short { product: "mug".into(), left: self.left.get() }]);
                };
                self.left.set(left);
                self.taken.borrow_mut().push(order.order);
            }
            Ok(Vec::new())
        }

        fn give_back(&self, _: &OrderLines) -> Result<(), Error> {
            Ok(())
        }

        fn bought(&self, _: &str, _: &OrderLines) -> Result<(), Error> {
            if self.cart_is_broken.get() {
                return Err(Error::failed("broken"));
            }
            self.cart.borrow_mut().clear();
            Ok(())
        }
    }

    fn with(quantity: u32, left: u32) -> Fake {
        let fake = Fake { left: Cell::new(left), ..Fake::default() };
        fake.cart.borrow_mut().push(Line { product: "mug".into(), quantity });
        fake
    }

    fn purchase(key: &str, seen_cents: u64) -> Purchase {
        let (name, email, address) = ("Ada".into(), "ada@example.com".into(), "1 Hill".into());
        Purchase { key: key.repeat(32), cart: "c".repeat(32), name, email, address, seen_cents }
    }

    fn wrong_field(outcome: Outcome) -> String {
        match outcome {
            Outcome::Refused(wrong) => wrong[0].field.clone(),
            Outcome::Bought(receipt) => panic!("{receipt:?}"),
        }
    }

    #[test]
    fn the_same_purchase_again_is_the_same_order() {
        let fake = with(2, 5);
        let Outcome::Bought(first) = buy(&purchase("a", 1000), &fake).unwrap() else { panic!() };
        assert_eq!((first.number, first.total_cents, fake.left.get()), (1001, 1000, 3));
        assert_eq!(buy(&purchase("a", 1000), &fake).unwrap(), Outcome::Bought(first.clone()));
        assert_eq!(fake.left.get(), 3);
        assert_eq!(receipt(1001, &"c".repeat(32)).unwrap(), Some(first));
        assert_eq!(receipt(1001, &"d".repeat(32)).unwrap(), None);
        assert_eq!(wrong_field(buy(&purchase("b", 1000), &fake).unwrap()), "cart");
    }

    #[test]
    fn of_two_at_once_the_first_says_what_is_bought() {
        let (orders, fake) = (kv::bucket("orders").unwrap(), with(1, 5));
        let first = begin(&orders, &purchase("a", 500), &fake).unwrap().unwrap_or_else(|_| panic!());
        let second = begin(&orders, &purchase("a", 500), &fake).unwrap().unwrap_or_else(|_| panic!());
        assert_eq!((first.receipt.number, second.receipt.number), (1001, 1001));
        let ends = [first, second].map(|order| finish(&orders, order, &fake).unwrap());
        assert!(ends[0] == ends[1] && matches!(ends[0], Outcome::Bought(_)));
        assert_eq!((fake.left.get(), fake.taken.borrow().len()), (4, 1));
    }

    #[test]
    fn what_is_short_is_refused_for_good() {
        let fake = with(2, 1);
        assert_eq!(wrong_field(buy(&purchase("a", 1000), &fake).unwrap()), "cart");
        fake.left.set(9);
        assert_eq!(wrong_field(buy(&purchase("a", 1000), &fake).unwrap()), "cart");
        assert!(matches!(buy(&purchase("b", 1000), &fake).unwrap(), Outcome::Bought(_)));
    }

    #[test]
    fn another_total_than_the_one_that_was_seen_is_not_bought() {
        assert_eq!(wrong_field(buy(&purchase("a", 999), &with(2, 5)).unwrap()), "cart");
        assert!(buy(&Purchase { key: "short".into(), ..purchase("a", 1000) }, &with(2, 5)).is_err());
    }

    #[test]
    fn a_broken_cart_does_not_unmake_an_order() {
        let fake = with(1, 5);
        fake.cart_is_broken.set(true);
        assert!(matches!(buy(&purchase("a", 500), &fake).unwrap(), Outcome::Bought(_)));
        fake.cart_is_broken.set(false);
        buy(&purchase("a", 500), &fake).unwrap();
        assert!(fake.cart.borrow().is_empty());
    }
}
