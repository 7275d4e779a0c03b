//! A browser that a test drives: Chromium, through `chromedriver`, by plain calls of WebDriver (W3C).

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::{Agent, http::Request};

use crate::fixture::{send, until};

/// The longest that one command may take: a browser begins slowly on a machine that tests.
const COMMAND_MAX: Duration = Duration::from_secs(180);

/// What keeps it from doing anything but what the test says.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// What names an element in answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A window. The browser ends with the test.
pub struct Browser {
    driver: Child,
    agent: Agent,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// None, which is said, where there is no browser.
    pub fn start() -> Option<Self> {
        let Some(chromium) = found("chromium").filter(|_| found("chromedriver").is_some()) else {
            eprintln!("==> skipped: there is no browser (apt install chromium chromium-driver)");
            return None;
        };
        let mut driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = said.find_map(|line| {
            line.split_once("successfully on port ").map(|(_, port)| port.trim_end_matches('.').to_owned())
        });
        let driver_url = format!("http://127.0.0.1:{}/session", port.expect("the driver says where it listens"));
        // Whatever else it says is read, or it would wait for that.
        std::thread::spawn(move || said.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let own = format!("--user-data-dir={}", profile.path().display());
        let flags: Vec<&str> = FLAGS.into_iter().chain([own.as_str()]).collect();
        let options = json!({ "binary": chromium, "args": flags });
        let capabilities =
            json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": options } } });
        let agent = Agent::config_builder().http_status_as_error(false).timeout_global(Some(COMMAND_MAX)).build();
        let mut browser = Self { driver, agent: agent.new_agent(), session: driver_url, _profile: profile };
        let begun = browser.command("", &capabilities);
        browser.session = format!("{}/{}", browser.session, begun["sessionId"].as_str().unwrap());
        Some(browser)
    }

    fn command(&self, path: &str, body: &Value) -> Value {
        let request = Request::post(format!("{}{path}", self.session)).header("content-type", "application/json");
        let answer = send(&self.agent, request.body(body.to_string()).unwrap());
        assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
        answer.json()["value"].clone()
    }

    pub fn open(&self, url: &str) {
        self.command("/url", &json!({ "url": url }));
    }

    /// The text of the first element that a selector finds; empty where there is none.
    pub fn text(&self, selector: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
        let text = self.command("/execute/sync", &json!({ "script": script, "args": [selector] }));
        text.as_str().unwrap().to_owned()
    }

    /// How many elements a selector finds.
    pub fn count(&self, selector: &str) -> u64 {
        let script = "return document.querySelectorAll(arguments[0]).length";
        self.command("/execute/sync", &json!({ "script": script, "args": [selector] })).as_u64().unwrap()
    }

    /// Waits until an element says this.
    pub fn see(&self, selector: &str, text: &str) {
        until(&format!("{selector} says {text:?}"), || self.text(selector).contains(text));
    }

    fn element(&self, selector: &str) -> String {
        let element = self.command("/element", &json!({ "using": "css selector", "value": selector }));
        format!("/element/{}", element[ELEMENT].as_str().unwrap())
    }

    pub fn click(&self, selector: &str) {
        self.command(&format!("{}/click", self.element(selector)), &json!({}));
    }

    /// Types into a field, in the place of what is there.
    pub fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.command(&format!("{element}/clear"), &json!({}));
        self.command(&format!("{element}/value"), &json!({ "text": text }));
    }
}

/// Where a program is.
fn found(program: &str) -> Option<String> {
    let output = Command::new("sh").args(["-c", "command -v \"$0\"", program]).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
