//! What can be wrong with a purchase, in words for the buyer.

use shop_api::{Bought, Cart, Product, Purchase, Short, Wrong};

/// The longest of each field, in bytes.
const NAME_MAX: usize = 100;
const EMAIL_MAX: usize = 254;
const ADDRESS_MAX: usize = 500;

fn wrong(field: &str, text: impl Into<String>) -> Wrong {
    Wrong { field: field.to_owned(), text: text.into() }
}

/// What is wrong with the fields.
pub fn fields(purchase: &Purchase) -> Vec<Wrong> {
    let mut found = Vec::new();
    let sized = [
        ("name", &purchase.name, NAME_MAX, "Who shall have it?"),
        ("email", &purchase.email, EMAIL_MAX, "Where shall we write to?"),
        ("address", &purchase.address, ADDRESS_MAX, "Where shall it be sent?"),
    ];
    for (field, value, bytes_max, empty) in sized {
        if value.trim().is_empty() {
            found.push(wrong(field, empty));
        } else if value.len() > bytes_max {
            found.push(wrong(field, format!("That is too long: at most {bytes_max} letters.")));
        } else if field == "email" && !is_email(value.trim()) {
            found.push(wrong(field, "An e-mail address looks like ada@example.com."));
        }
    }
    found
}

/// Only the mail itself tells whether an address is one.
fn is_email(text: &str) -> bool {
    let plain = !text.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    let parts = text.rsplit_once('@');
    plain
        && parts.is_some_and(|(who, host)| {
            !who.is_empty() && host.contains('.') && !host.starts_with('.') && !host.ends_with('.')
        })
}

/// A cart's lines at today's prices, or what is wrong with it.
pub fn priced(cart: &Cart, products: &[Product], seen_cents: u64) -> Result<(Vec<Bought>, u64), Wrong> {
    if cart.lines.is_empty() {
        return Err(wrong("cart", "Your cart is empty."));
    }
    let mut lines = Vec::new();
    for line in &cart.lines {
        let Some(product) = products.iter().find(|product| product.id == line.product) else {
            return Err(wrong(
                "cart",
                format!("{} is not sold any more; please take it out of your cart.", line.product),
            ));
        };
        let (product, name, price_cents) = (product.id.clone(), product.name.clone(), product.price_cents);
        lines.push(Bought { product, name, quantity: line.quantity, price_cents });
    }
    let total_cents = lines.iter().map(|line| line.price_cents * u64::from(line.quantity)).sum();
    if total_cents != seen_cents {
        return Err(wrong("cart", "Your cart has changed since you saw it here. Please look at it again."));
    }
    Ok((lines, total_cents))
}

/// What there is not enough of.
pub fn short(short: &[Short], lines: &[Bought]) -> Vec<Wrong> {
    let told = |short: &Short| {
        let name = lines.iter().find(|line| line.product == short.product).map_or(&short.product, |line| &line.name);
        let left = match short.left {
            0 => "is sold out".to_owned(),
            left => format!("has only {left} left"),
        };
        wrong("cart", format!("{name} {left}. Please change your cart."))
    };
    short.iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_names_its_field() {
        let good = Purchase {
            name: "Ada".into(),
            email: "ada@example.com".into(),
            address: "1 Hill".into(),
            ..Purchase::default()
        };
        assert_eq!(fields(&good), []);
        let of = |purchase: &Purchase| fields(purchase).into_iter().map(|wrong| wrong.field).collect::<Vec<_>>();
        assert_eq!(of(&Purchase::default()), ["name", "email", "address"]);
        assert_eq!(of(&Purchase { name: "x".repeat(NAME_MAX + 1), ..good.clone() }), ["name"]);
        for email in
            ["ada", "@example.com", "ada@", "ada@example", "a da@example.com", "ada@example.", "ada@x\u{0}.com"]
        {
            assert_eq!(of(&Purchase { email: email.into(), ..good.clone() }), ["email"], "{email}");
        }
    }
}
