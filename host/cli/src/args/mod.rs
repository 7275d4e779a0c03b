//! What may be typed. Every command's help ends with an example.

mod access;
mod apps;
mod backup;
mod export;
mod release;
mod state;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

pub use self::{
    access::{Issuer, Token},
    apps::{App, Config, Secret},
    backup::{Backup, Restore},
    export::{Export, ForHost},
    release::{Alias, Condition, Promote, Release, Rollback, Sticky, Versions},
    state::{Blob, Kv},
};

/// Where a host's admin API is where nothing else is said.
pub const ADMIN_DEFAULT: &str = "127.0.0.1:3001";

/// Functions over HTTP, each request in a pristine WebAssembly instance.
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    after_help = "Begin with: gust serve, then in another terminal: gust new hello"
)]
pub struct Args {
    #[command(flatten)]
    pub host: HostArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// Which host a command talks to.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct HostArgs {
    /// The admin API of the host, as a URL or an address and port [env: GUST_ADMIN]
    #[arg(long = "admin", global = true, value_name = "URL", help_heading = "Host")]
    pub admin: Option<String>,
    /// The file with the admin token; else GUST_TOKEN, else it is looked for
    #[arg(long, global = true, value_name = "FILE", help_heading = "Host")]
    pub token_file: Option<PathBuf>,
    /// The authorities to trust over https://, instead of the system's [env: GUST_CA]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Host")]
    pub ca: Option<PathBuf>,
    /// The certificate for a host that wants to see one [env: GUST_CERT]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Host")]
    pub cert: Option<PathBuf>,
    /// The private key of that certificate [env: GUST_KEY]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Host")]
    pub key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a host until it is told to stop
    #[command(after_help = "Example: gust serve --listen 127.0.0.1:3000 --data-dir ./gust-data\n\
        Settings that have no flag are set in gust-host.toml or as GUST_<KEY>: docs/configuration.md lists them.")]
    Serve(Serve),
    /// Say what of this machine keeps a host from doing its best
    #[command(after_help = "Example: gust doctor --config /etc/gust/gust-host.toml")]
    Doctor(Doctor),
    /// Make a new function's project
    #[command(after_help = "Example: gust new resize --template image && cd resize && gust deploy")]
    New(New),
    /// Build the function in a directory into one component
    #[command(after_help = "Example: gust build --path functions/hello")]
    Build(Build),
    /// Upload a function; without a component, build it first
    #[command(after_help = "Examples: gust deploy\n          gust deploy target/hello.wasm --name hello\n          \
        gust deploy --alias canary --weight 10 --rollback-if 'errors>1%'")]
    Deploy(Deploy),
    /// List a function's versions
    #[command(after_help = "Example: gust versions hello")]
    Versions(Versions),
    /// Have live point to the version that was tried
    #[command(
        disable_version_flag = true,
        after_help = "Examples: gust promote hello\n          gust promote hello --version 8"
    )]
    Promote(Promote),
    /// Have live point to the version before
    #[command(after_help = "Examples: gust rollback hello\n          gust rollback hello --to 6")]
    Rollback(Rollback),
    /// Show and change where a function's aliases point
    #[command(after_help = "Example: gust alias set hello live 7 --and 8 --weight 10", subcommand)]
    Alias(Alias),
    /// Show and change apps: functions that share configuration, secrets and quotas
    #[command(after_help = "Example: gust app set shop --file app.toml", subcommand)]
    App(App),
    /// Show and change an app's configuration
    #[command(after_help = "Example: gust config set GREETING hello --app shop", subcommand)]
    Config(Config),
    /// List, set and remove an app's secrets
    #[command(after_help = "Example: gust secret set API_KEY --app shop < key.txt", subcommand)]
    Secret(Secret),
    /// Look at and change key-values that functions keep
    #[command(after_help = "Example: gust kv set carts 42 apples --app shop", subcommand)]
    Kv(Kv),
    /// Look at and change blobs that functions keep
    #[command(after_help = "Example: gust blob put pictures photo.jpg", subcommand)]
    Blob(Blob),
    /// Make, list and revoke tokens
    #[command(after_help = "Example: gust token create ci --scope deploy:app/shop --expires 30d", subcommand)]
    Token(Token),
    /// Show and change whose JSON Web Tokens an app believes
    #[command(
        after_help = "Example: gust issuer set login --issuer https://login.example.com --audience shop --jwks keys.json",
        subcommand
    )]
    Issuer(Issuer),
    /// List the functions of a host
    #[command(after_help = "Example: gust ls --json")]
    Ls(Ls),
    /// Show all about one function, or about a component in a file
    #[command(after_help = "Examples: gust inspect hello\n          gust inspect target/hello.wasm")]
    Inspect(Inspect),
    /// Write a function's component with what another host needs to run it
    #[command(after_help = "Examples: gust export hello --for spin\n          \
        gust export target/hello.wasm --for wasmtime --to out")]
    Export(Export),
    /// Call a function
    #[command(after_help = "Example: gust invoke resize --path '/?w=320' --data @photo.jpg > small.jpg")]
    Invoke(Invoke),
    /// Show what a function and its requests say
    #[command(after_help = "Example: gust logs -f hello")]
    Logs(Logs),
    /// Remove a function and all its versions
    #[command(after_help = "Example: gust rm hello --yes")]
    Rm(Rm),
    /// Write all that a host holds into one file
    #[command(
        after_help = "Examples: gust backup monday.tar\n          gust backup - | ssh elsewhere 'cat > monday.tar'"
    )]
    Backup(Backup),
    /// Replace all that a host holds by a backup
    #[command(after_help = "Example: gust restore monday.tar")]
    Restore(Restore),
    /// What the host calls itself with to compile a component.
    #[command(hide = true)]
    CompileWorker {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(Debug, ClapArgs)]
pub struct Serve {
    /// Where functions are called [env: GUST_LISTEN] [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Where the admin API is [env: GUST_ADMIN] [default: 127.0.0.1:3001]
    // By its name it stands in the place of the one that says which host is called.
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
    /// Where everything is kept [env: GUST_DATA_DIR] [default: gust-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The configuration file [env: GUST_CONFIG] [default: gust-host.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Hold the sockets in a process of its own, and start the host again if it ends by itself [env: GUST_SUPERVISED]
    #[arg(long)]
    pub supervised: bool,
    /// How the log is written
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub log_format: LogFormat,
    #[command(flatten)]
    pub host: NotForServe,
}

/// The rest of [`HostArgs`], which a host has no use for: not in its help.
#[derive(Debug, ClapArgs)]
pub struct NotForServe {
    #[arg(long, hide = true)]
    pub token_file: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub ca: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub cert: Option<PathBuf>,
    #[arg(long, hide = true)]
    pub key: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct Doctor {
    /// The host's configuration file [env: GUST_CONFIG] [default: gust-host.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere
    Auto,
    /// A line of text for each event
    Text,
    /// A JSON object for each event
    Json,
}

#[derive(Debug, ClapArgs)]
pub struct New {
    /// The function's name, and the new directory
    pub name: String,
    /// What to begin with: an example in Rust, or the same greeting in another language
    #[arg(long, default_value = "hello")]
    pub template: Template,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Template {
    /// Rust: greets by name
    Hello,
    /// Rust: resizes pictures
    Image,
    /// Python: greets by name [or: py]
    #[value(alias = "py")]
    Python,
    /// JavaScript: greets by name [or: js]
    #[value(alias = "js")]
    Javascript,
    /// C: greets by name
    C,
}

#[derive(Debug, ClapArgs)]
pub struct Build {
    /// The function's directory
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub path: PathBuf,
    /// Print a JSON object with the component's path and size
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Deploy {
    /// The component; built where it is not given
    pub component: Option<PathBuf>,
    /// The function's name; else the manifest's, else the file's or directory's
    #[arg(long)]
    pub name: Option<String>,
    /// The manifest; else gust.toml in the directory
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// The function's directory
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub path: PathBuf,
    /// Print the function as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub release: Release,
}

#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Ls {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Inspect {
    /// The function, or the component's file, which needs no host
    #[arg(value_name = "NAME|FILE")]
    pub name: String,
    /// The manifest that a component in a file would have
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Invoke {
    /// The function; name@8 is one version, name@canary one alias
    pub name: String,
    /// In this app; else in the one that it belongs to
    #[arg(long)]
    pub app: Option<String>,
    /// The path below the function, with its query
    #[arg(long, default_value = "/")]
    pub path: String,
    /// The method; POST where there are data
    #[arg(long, short = 'X')]
    pub method: Option<String>,
    /// A header, as 'name: value'; may be repeated
    #[arg(long = "header", short = 'H', value_name = "HEADER")]
    pub headers: Vec<String>,
    /// The body: text, @FILE, or - for standard input
    #[arg(long, short = 'd')]
    pub data: Option<String>,
    /// Show the response's head too
    #[arg(long, short = 'i')]
    pub include: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Logs {
    /// The function
    pub name: String,
    /// In this app; else in the one that it belongs to
    #[arg(long)]
    pub app: Option<String>,
    /// Go on as lines come
    #[arg(long, short)]
    pub follow: bool,
    /// How many of the newest lines
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub tail: usize,
    /// Print a JSON object for each line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Rm {
    /// The function
    pub name: String,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn a_hosts_own_help_has_its_own_address_alone() {
        let mut command = Args::command();
        command.build();
        let help = command.find_subcommand_mut("serve").unwrap().render_long_help().to_string();
        assert_eq!(help.matches("--admin").count(), 1, "{help}");
        assert!(!help.contains("--token-file") && !help.contains("--ca "), "{help}");
    }

    /// An argument of a command takes the place of one for all commands where it has its id, and would be given its value where
    /// it has its flag.
    #[test]
    fn no_command_takes_what_is_every_commands() {
        fn clashes(command: &clap::Command, globals: &[&clap::Arg], found: &mut Vec<String>) {
            for arg in command.get_arguments() {
                let flags = |arg: &clap::Arg| (arg.get_long().map(str::to_owned), arg.get_short());
                let (long, short) = flags(arg);
                let is_taken = |global: &&clap::Arg| {
                    let (taken_long, taken_short) = flags(global);
                    arg.get_id() == global.get_id()
                        || (long.is_some() && long == taken_long)
                        || (short.is_some() && short == taken_short)
                };
                if globals.iter().any(is_taken) {
                    found.push(format!("{} {}", command.get_name(), arg.get_id()));
                }
            }
            command.get_subcommands().for_each(|sub| clashes(sub, globals, found));
        }
        let command = Args::command();
        let globals: Vec<_> = command.get_arguments().filter(|arg| arg.is_global_set()).collect();
        let mut found = Vec::new();
        command.get_subcommands().for_each(|sub| clashes(sub, &globals, &mut found));
        // A host is not called: by their names these hide those, and nothing of it is in its help.
        assert_eq!(found, ["admin", "token_file", "ca", "cert", "key"].map(|id| format!("serve {id}")));
    }

    #[test]
    fn the_definition_holds_and_every_command_shows_an_example() {
        let command = Args::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let help = sub.get_after_help().unwrap_or_else(|| panic!("{}", sub.get_name())).to_string();
            assert!(help.starts_with("Example") && help.contains(&format!("gust {}", sub.get_name())), "{help}");
        }
    }
}
