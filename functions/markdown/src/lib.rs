//! Markdown to HTML that is safe to show, whoever wrote it.
//!
//! The text becomes HTML first and the HTML is cleaned then, as a browser would read it: what a writer smuggles through
//! the Markdown, in whatever way, meets the same cleaner.

use std::sync::LazyLock;

use ammonia::Builder;
use gust_sdk::{Error, Html, Method, Query, StatusCode, handler, init};
use pulldown_cmark::{Options, Parser, html};
use serde::Deserialize;

/// What the query may say.
#[derive(Deserialize, Default)]
struct Form {
    /// Whether to make a whole page and not a piece of one.
    #[serde(default)]
    page: bool,
}

/// `POST /markdown`
#[handler]
fn markdown(method: Method, Query(form): Query<Form>, text: String) -> Result<Html<String>, Error> {
    if method != Method::POST && method != Method::PUT {
        let usage = "send Markdown as the body of a POST: curl --data-binary '# Hello' http://HOST/markdown";
        return Err(Error::new(StatusCode::METHOD_NOT_ALLOWED, usage));
    }
    let fragment = clean(&to_html(&text));
    Ok(Html(if form.page { page(&fragment) } else { fragment }))
}

fn to_html(text: &str) -> String {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    let mut out = String::with_capacity(text.len() * 3 / 2);
    html::push_html(&mut out, Parser::new_ext(text, options));
    out
}

/// Keeps what cannot do harm. Links are told to search engines as the writer's own.
fn clean(html: &str) -> String {
    CLEANER.clean(html).to_string()
}

/// Tables of what is harmless, which take longer to make than a short text takes to clean.
static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::default();
    builder
        .add_tags(["input"])
        .add_tag_attributes("input", ["checked", "disabled"])
        .set_tag_attribute_value("input", "type", "checkbox")
        .url_schemes(["http", "https", "mailto"].into())
        .link_rel(Some("nofollow noopener noreferrer"));
    builder
});

/// Makes the tables once, before the first request.
#[init]
fn make_tables() {
    LazyLock::force(&CLEANER);
}

fn page(fragment: &str) -> String {
    const STYLE: &str = "body{max-width:44rem;margin:3rem auto;padding:0 1rem;font:1.05rem/1.6 system-ui,sans-serif}\
        pre{overflow-x:auto;background:#f4f4f4;padding:1rem}table{border-collapse:collapse}td,th{border:1px solid #ccc;\
        padding:.3rem .6rem}img{max-width:100%}blockquote{border-left:3px solid #ccc;margin-left:0;padding-left:1rem}";
    format!(
        "<!doctype html>\n<html><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\n<body>\n{fragment}</body></html>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> String {
        markdown(Method::POST, Query(Form::default()), text.to_owned()).unwrap().0
    }

    #[test]
    fn markdown_becomes_html() {
        assert_eq!(rendered("# Hi *you*"), "<h1>Hi <em>you</em></h1>\n");
        assert!(rendered("|a|\n|-|\n|b|").contains("<td>b</td>"));
        assert!(rendered("~~x~~").contains("<del>x</del>"));
        let tasks = rendered("- [x] done\n- [ ] open");
        assert_eq!(tasks.matches("type=\"checkbox\"").count(), 2, "{tasks}");
    }

    #[test]
    fn nothing_harmful_comes_through() {
        let attacks = [
            "<script>alert(1)</script>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html;base64,PHNjcmlwdD4=)",
            "<img src=x onerror=alert(1)>",
            "![x](x\" onerror=\"alert(1))",
            "<svg onload=alert(1)>",
            "<a href=\"java\nscript:alert(1)\">x</a>",
            "<iframe src=\"//evil\"></iframe>",
            "<form action=//evil><input name=password type=password></form>",
            "<math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">",
            "<style>*{background:url(//evil)}</style>",
            "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
            "```\"><script>alert(1)</script>\n```",
        ];
        for attack in attacks {
            let html = rendered(attack);
            let tags: Vec<&str> = html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()).collect();
            for tag in tags {
                let tag = tag.to_ascii_lowercase();
                for bad in
                    ["script", "onerror", "onload", "javascript", "data:", "iframe", "form", "style", "svg", "password"]
                {
                    assert!(!tag.contains(bad), "{attack} became {html}");
                }
            }
        }
    }

    #[test]
    fn links_lend_no_reputation_and_pages_are_whole() {
        assert!(rendered("[x](https://example.com)").contains("rel=\"nofollow noopener noreferrer\""));
        let page = markdown(Method::POST, Query(Form { page: true }), "x".to_owned()).unwrap().0;
        assert!(page.starts_with("<!doctype html>") && page.contains("<p>x</p>"));
        assert!(markdown(Method::GET, Query(Form::default()), String::new()).is_err());
    }
}
