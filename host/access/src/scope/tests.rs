//! Scopes as text, what they allow, and that a wider one never allows less.

use proptest::prelude::*;

use super::*;

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

/// Whether the scope allows it on the function `resize`, which is in the app `shop`.
fn on_resize(text: &str, action: Action) -> bool {
    let (name, shop) = ("resize".parse().unwrap(), "shop".parse().unwrap());
    scope(text).allows(action, &Resource::Function { name: &name, is_in: &|app| *app == shop })
}

#[test]
fn texts_are_read_and_written() {
    for text in ["admin:*", "deploy:app/shop", "invoke:function/resize", "read:*"] {
        assert_eq!(scope(text).to_string(), text);
        let json = serde_json::to_string(&scope(text)).unwrap();
        assert_eq!(json, format!("{text:?}"));
        assert_eq!(serde_json::from_str::<Scope>(&json).unwrap(), scope(text));
    }
}

#[test]
fn errors_say_what_to_write() {
    for (text, says) in [
        ("", "write ACTION:TARGET"),
        ("deploy", "write ACTION:TARGET"),
        ("delete:*", "read, deploy, invoke, data or admin"),
        ("Read:*", "read, deploy, invoke, data or admin"),
        (" read:*", "read, deploy, invoke, data or admin"),
        ("read:", "*, app/NAME or function/NAME"),
        ("read:shop", "*, app/NAME or function/NAME"),
        ("read:**", "*, app/NAME or function/NAME"),
        ("read:*/x", "*, app/NAME or function/NAME"),
        ("read:apps/x", "*, app/NAME or function/NAME"),
        ("read:app/", "is not a name"),
        ("read:app/*", "is not a name"),
        ("read:function/a/b", "is not a name"),
        ("read:app/a:b", "is not a name"),
        ("data:function/a", "what functions keep is their app's; write data:app/NAME"),
    ] {
        let error = text.parse::<Scope>().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
    let endless = format!("{}:*", "x".repeat(100_000)).parse::<Scope>().unwrap_err().to_string();
    assert!(endless.len() < 300, "{endless}");
}

#[test]
fn an_action_includes_what_it_should_and_no_more() {
    let includes = |action: Action| Action::ALL.map(|other| action.includes(other));
    assert_eq!(includes(Action::Read), [true, false, false, false, false]);
    assert_eq!(includes(Action::Deploy), [true, true, false, false, false]);
    assert_eq!(includes(Action::Invoke), [false, false, true, false, false]);
    assert_eq!(includes(Action::Data), [false, false, false, true, false]);
    assert_eq!(includes(Action::Admin), [true; 5]);
}

#[test]
fn a_target_includes_what_it_should_and_no_more() {
    assert!(on_resize("deploy:*", Action::Deploy));
    assert!(on_resize("deploy:app/shop", Action::Deploy));
    assert!(on_resize("deploy:function/resize", Action::Read));
    assert!(!on_resize("deploy:app/other", Action::Deploy));
    assert!(!on_resize("deploy:app/resize", Action::Deploy), "an app is not the function of that name");
    assert!(!on_resize("deploy:function/shop", Action::Deploy));
    assert!(!on_resize("deploy:*", Action::Invoke));
    let shop = "shop".parse().unwrap();
    assert!(scope("read:app/shop").allows(Action::Read, &Resource::App(&shop)));
    assert!(!scope("admin:function/shop").allows(Action::Read, &Resource::App(&shop)));
    assert!(!scope("admin:app/shop").allows(Action::Read, &Resource::Host));
    assert!(scope("read:*").allows(Action::Read, &Resource::Host));
}

#[test]
fn no_scopes_allow_nothing() {
    let none: Scopes = serde_json::from_str("[]").unwrap();
    assert!(!none.allows(Action::Read, &Resource::Host));
    assert!(serde_json::from_str::<Scopes>(r#"["read:*", "x"]"#).is_err());
}

#[test]
fn scopes_are_handed_out_only_by_whom_they_cover() {
    let scopes = |texts: &[&str]| texts.iter().map(|text| scope(text)).collect::<Scopes>();
    let held = scopes(&["admin:app/shop", "invoke:*"]);
    assert!(held.cover(&scopes(&["deploy:app/shop", "invoke:function/resize", "invoke:app/other"])));
    for beyond in ["admin:*", "read:*", "read:app/other", "deploy:function/resize", "admin:function/shop"] {
        assert!(!held.cover(&scopes(&["invoke:*", beyond])), "{beyond}");
    }
    assert!(!scopes(&[]).cover(&held));
}

/// A few names, so that they often meet.
fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "c"])
}

fn any_scope() -> impl Strategy<Value = Scope> {
    let target = prop_oneof![
        Just("*".to_owned()),
        name().prop_map(|name| format!("app/{name}")),
        name().prop_map(|name| format!("function/{name}")),
    ];
    let action = prop::sample::select(Action::ALL.to_vec());
    let of_both = |(action, target): (Action, String)| format!("{}:{target}", action.as_str()).parse().ok();
    (action, target).prop_filter_map("what functions keep is their app's", of_both)
}

/// Calls `then` with a resource: the host, an app, or a function of some apps.
fn with_resource<T>(kind: u8, named: &str, apps: &[&str], then: impl Fn(&Resource<'_>) -> T) -> T {
    let (app, function) = (named.parse().unwrap(), named.parse().unwrap());
    match kind {
        0 => then(&Resource::Host),
        1 => then(&Resource::App(&app)),
        _ => then(&Resource::Function { name: &function, is_in: &|app| apps.contains(&app.as_str()) }),
    }
}

proptest! {
    #[test]
    fn a_wider_scope_never_allows_less(
        wide in any_scope(), narrow in any_scope(), action in prop::sample::select(Action::ALL.to_vec()),
        kind in 0_u8..3, named in name(), apps in prop::collection::vec(name(), 0..3),
    ) {
        with_resource(kind, named, &apps, |resource| {
            if wide.covers(&narrow) && narrow.allows(action, resource) {
                assert!(wide.allows(action, resource), "{wide} covers {narrow}");
            }
            let widened = [
                Scope { action: Action::Admin, ..narrow.clone() },
                Scope { target: Target::Host, ..narrow.clone() },
            ];
            for wider in widened {
                assert!(wider.covers(&narrow));
                assert!(wider.allows(action, resource) || !narrow.allows(action, resource), "{wider} {narrow}");
            }
        });
    }

    #[test]
    fn another_scope_and_another_app_never_allow_less(
        scopes in prop::collection::vec(any_scope(), 0..4), more in any_scope(),
        action in prop::sample::select(Action::ALL.to_vec()), named in name(),
        apps in prop::collection::vec(name(), 0..3), another in name(),
    ) {
        let few: Scopes = scopes.iter().cloned().collect();
        let many: Scopes = scopes.into_iter().chain([more]).collect();
        prop_assert!(many.cover(&few));
        let allowed = with_resource(2, named, &apps, |resource| few.allows(action, resource));
        let wider: Vec<&str> = apps.into_iter().chain([another]).collect();
        prop_assert!(!allowed || with_resource(2, named, &wider, |resource| many.allows(action, resource)));
    }

    #[test]
    fn whoever_may_do_a_thing_may_do_what_it_includes(scope in any_scope(), kind in 0_u8..3, named in name()) {
        for (action, included) in Action::ALL.iter().flat_map(|a| Action::ALL.map(|b| (*a, b))) {
            let allows = |action| with_resource(kind, named, &[], |resource| scope.allows(action, resource));
            prop_assert!(!action.includes(included) || !allows(action) || allows(included));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,100}") {
        if let Ok(scope) = text.parse::<Scope>() {
            prop_assert_eq!(scope.to_string(), text);
        }
    }

    #[test]
    fn every_scope_reads_back(scope in any_scope()) {
        prop_assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
    }
}
