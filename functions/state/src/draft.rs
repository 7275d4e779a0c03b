//! The same through `wasi:keyvalue` 0.2.0-draft, as a component that was built for another host would.

wit_bindgen::generate!({
    path: "../../wit/deps/wasi-keyvalue-0.2.0-draft",
    inline: "
        package test:draft;
        world draft {
            import wasi:keyvalue/store@0.2.0-draft;
            import wasi:keyvalue/atomics@0.2.0-draft;
            import wasi:keyvalue/batch@0.2.0-draft;
        }
    ",
    world: "test:draft/draft",
    generate_all,
});

use wasi::keyvalue::{atomics, batch, store};

/// What it does, or why not.
pub fn key_value(op: &str, place: &str, key: &str, body: &[u8], n: u64) -> Result<Vec<u8>, String> {
    let told = |error: store::Error| format!("{error:?}");
    let bucket = store::open(place).map_err(told)?;
    match op {
        "get" => bucket.get(key).map_err(told)?.ok_or_else(|| "absent".to_owned()),
        "set" => bucket.set(key, body).map(|()| Vec::new()).map_err(told),
        "increment" => atomics::increment(&bucket, key, n).map(|n| n.to_string().into_bytes()).map_err(told),
        "keys" => {
            let (mut cursor, mut keys) = (None, Vec::new());
            loop {
                let page = bucket.list_keys(cursor).map_err(told)?;
                keys.extend(page.keys);
                cursor = page.cursor;
                if cursor.is_none() {
                    return Ok(keys.join(",").into_bytes());
                }
            }
        }
        "batch" => {
            let pairs: Vec<_> = (0..n).map(|n| (format!("{key}{n:05}"), body.to_vec())).collect();
            batch::set_many(&bucket, &pairs).map_err(told)?;
            let mut keys: Vec<String> = pairs.into_iter().map(|(key, _)| key).collect();
            batch::delete_many(&bucket, &keys[..1]).map_err(told)?;
            keys.truncate(3);
            let found = batch::get_many(&bucket, &keys).map_err(told)?;
            let shown = found.into_iter().map(|pair| pair.map_or("-".to_owned(), |(key, _)| key));
            Ok(shown.collect::<Vec<_>>().join(",").into_bytes())
        }
        _ => Err(format!("no {op}")),
    }
}
