//! Keeps what it is told to, in the way that its path says. For the host's tests.

mod draft;

use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use gust_sdk::{Bytes, Error, PathRest, Query, StatusCode, blob, handler, init, kv, log};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(default)]
struct Asked {
    place: String,
    key: String,
    n: u64,
    from: u64,
    to: u64,
}

impl Default for Asked {
    fn default() -> Self {
        Self { place: "carts".to_owned(), key: "k".to_owned(), n: 0, from: 0, to: u64::MAX }
    }
}

/// Where it asks for something before a request is there, where it is told to.
#[init]
fn get_ready() -> Result<(), String> {
    match std::env::var("INIT").as_deref() {
        Ok("kv") => kv::bucket("carts").map(drop).map_err(|error| error.to_string()),
        _ => Ok(()),
    }
}

#[handler]
fn state(path: PathRest, Query(asked): Query<Asked>, body: Bytes) -> Result<Vec<u8>, Error> {
    match path.0.split_at_checked(4) {
        Some(("/kv/", op)) => key_value(op, &asked, &body),
        Some(("/bl/", op)) => blobs(op, &asked, &body),
        Some(("/dr/", op)) => draft::key_value(op, &asked.place, &asked.key, &body, asked.n).map_err(told),
        _ => {
            log::warn(format_args!("there is no\n{}", path.0));
            Err(Error::new(StatusCode::NOT_FOUND, "it does not know that"))
        }
    }
}

/// What failed is told to whoever called.
fn told(error: impl std::fmt::Display) -> Error {
    Error::new(StatusCode::IM_A_TEAPOT, error.to_string())
}

fn absent() -> Error {
    Error::new(StatusCode::NOT_FOUND, "it is not there")
}

fn key_value(op: &str, asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Error> {
    let (bucket, key) = (kv::bucket(&asked.place).map_err(told)?, asked.key.as_str());
    Ok(match op {
        "get" => bucket.get(key).map_err(told)?.ok_or_else(absent)?,
        // What it was sent, or so many bytes of its own.
        "set" => {
            let own = vec![b'x'; asked.n as usize];
            bucket.set(key, if own.is_empty() { body } else { &own }).map(|()| Vec::new()).map_err(told)?
        }
        "set-for" => bucket.set_for(key, body, Duration::from_millis(asked.n)).map(|()| Vec::new()).map_err(told)?,
        "delete" => bucket.delete(key).map(|()| Vec::new()).map_err(told)?,
        "exists" => bucket.exists(key).map_err(told)?.to_string().into_bytes(),
        "increment" => bucket.increment(key, asked.n as i64).map_err(told)?.to_string().into_bytes(),
        "keys" => bucket.keys().collect::<Result<Vec<_>, _>>().map_err(told)?.join(",").into_bytes(),
        // Appends a byte, by comparing and swapping.
        "append" => {
            let append = |old: Option<Vec<u8>>| [old.unwrap_or_default(), body.to_vec()].concat();
            bucket.update(key, append).map_err(told)?.len().to_string().into_bytes()
        }
        "fill" => {
            for n in 0..asked.n {
                bucket.set(&format!("{key}{n:05}"), body).map_err(told)?;
            }
            Vec::new()
        }
        // Many reads in one request, to be measured.
        "many" => {
            for _ in 0..asked.n {
                bucket.get(key).map_err(told)?;
            }
            Vec::new()
        }
        // Leaves its handles behind.
        "leave" => {
            std::mem::forget(bucket);
            Vec::new()
        }
        _ => return Err(absent()),
    })
}

fn blobs(op: &str, asked: &Asked, body: &[u8]) -> Result<Vec<u8>, Error> {
    let (container, name) = (blob::container(&asked.place).map_err(told)?, asked.key.as_str());
    Ok(match op {
        "get" => container.get(name).map_err(told)?.ok_or_else(absent)?,
        "range" => container.range(name, asked.from..asked.to).map_err(told)?.ok_or_else(absent)?,
        "put" => container.put(name, body).map(|()| Vec::new()).map_err(told)?,
        "delete" => container.delete(name).map(|()| Vec::new()).map_err(told)?,
        "list" => container.list().map_err(told)?.collect::<Result<Vec<_>, _>>().map_err(told)?.join(",").into_bytes(),
        "info" => container.info(name).map_err(told)?.ok_or_else(absent)?.size.to_string().into_bytes(),
        // So many MiB, and never more than one piece of it here.
        "stream" => {
            let mut writer = container.writer(name).map_err(told)?;
            let piece: Vec<u8> = (0..1 << 20).map(|n| (n % 251) as u8).collect();
            for _ in 0..asked.n {
                writer.write_all(&piece).map_err(told)?;
            }
            writer.finish().map(|()| Vec::new()).map_err(told)?
        }
        "count" => {
            let mut reader = container.reader(name).map_err(told)?.ok_or_else(absent)?;
            let (mut piece, mut bytes, mut sum) = (vec![0; 64 << 10], 0_u64, 0_u64);
            loop {
                let read = reader.read(&mut piece).map_err(told)?;
                if read == 0 {
                    break format!("{bytes} {sum}").into_bytes();
                }
                bytes += read as u64;
                sum += piece.iter().take(read).map(|byte| u64::from(*byte)).sum::<u64>();
            }
        }
        // Begins and does not finish.
        "abandon" => {
            let mut writer = container.writer(name).map_err(told)?;
            writer.write_all(body).map_err(told)?;
            Vec::new()
        }
        _ => return Err(absent()),
    })
}
