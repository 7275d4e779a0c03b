//! What the function was configured with, by name.

/// What the function was configured with under this name: on gust the environment of `gust.toml`, what its application gives all of
/// its functions, and secrets. It is asked for through `wasi:config`, so a secret need not stand in the environment.
///
/// A component imports `wasi:config/store` for this, and only where it is called: a function that never calls it runs
/// on hosts without `wasi:config` too. In a test on the developer's own machine it is the environment.
pub fn config(name: &str) -> Option<String> {
    #[cfg(target_arch = "wasm32")]
    return store::wasi::config::store::get(name).ok().flatten();
    #[cfg(not(target_arch = "wasm32"))]
    return std::env::var(name).ok();
}

#[cfg(target_arch = "wasm32")]
mod store {
    // The interface as it is in wasi:config.
    wit_bindgen::generate!({
        inline: "
            package gust:config;
            world config { import wasi:config/store@0.2.0-rc.1; }
            package wasi:config@0.2.0-rc.1 {
                interface store {
                    variant error { upstream(string), io(string) }
                    get: func(key: string) -> result<option<string>, error>;
                    get-all: func() -> result<list<tuple<string, string>>, error>;
                }
            }
        ",
        generate_all,
    });
}
