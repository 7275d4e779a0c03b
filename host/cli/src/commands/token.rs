//! `gust token`: who may do what on a host.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use gust_core::{
    Timestamp, TokenName,
    api::{NewToken, TokenInfo, TokenList, TokenSpec},
};

use super::name;
use crate::{
    args::{HostArgs, Token},
    client::{self, Client},
    output,
};

/// Makes, lists or revokes tokens.
pub fn run(host: &HostArgs, action: &Token) -> Result<()> {
    let client = Client::new(host)?;
    match action {
        Token::Create { name: token, scopes, expires, json } => {
            let expires_unix_ms = expires.map(|after| (SystemTime::now() + *after).duration_since(UNIX_EPOCH));
            let expires_unix_ms = expires_unix_ms.transpose()?.map(|since| since.as_millis() as u64);
            let spec = TokenSpec { name: name(token)?, scopes: scopes.clone(), expires_unix_ms };
            let made: NewToken = client::parsed(client.send_document("POST", "/v1/tokens", &spec)?)?;
            if *json {
                return output::print(&format!("{}\n", serde_json::to_string(&made)?));
            }
            // The token alone on standard output, so that it can be put into a file.
            eprintln!("This is the only time that the token is shown; put it where only its holder can read it.");
            output::print(&format!("{}\n", made.token))
        }
        Token::Ls { json } => {
            let list: TokenList = client.get("/v1/tokens")?;
            if *json {
                return output::print(&format!("{}\n", serde_json::to_string(&list)?));
            }
            let head = ["NAME", "ID", "SCOPES", "MADE", "EXPIRES"].map(str::to_owned).to_vec();
            let rows = std::iter::once(head).chain(list.tokens.iter().map(row));
            output::print(&output::table(&rows.collect::<Vec<_>>()))
        }
        Token::Rm { name: token } => {
            let token: TokenName = name(token)?;
            client.delete(&format!("/v1/tokens/{token}"))?;
            output::print(&format!("revoked the token {token}\n"))
        }
    }
}

fn row(token: &TokenInfo) -> Vec<String> {
    vec![
        token.name.to_string(),
        token.id.clone(),
        token.scopes.join(" "),
        Timestamp(token.created_unix_ms).to_string(),
        token.expires_unix_ms.map_or_else(|| "never".to_owned(), |expires| Timestamp(expires).to_string()),
    ]
}
