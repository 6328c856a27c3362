//! Any request to an npm feed, its body taken apart already: it is answered, nothing but versions
//! of the package that its URL names is changed, and what names nothing costs nothing.
#![no_main]

use std::sync::{Arc, LazyLock};

use hayloft_feed::native::{Action, Native, StagedCard};
use hayloft_npm::Npm;
use hayloft_testkit::{MemoryFeed, digests, npm_tgz};
use libfuzzer_sys::fuzz_target;

#[path = "shared/native_requests.rs"]
mod native_requests;

static FEED: LazyLock<MemoryFeed> = LazyLock::new(|| {
    let mut feed = MemoryFeed::new(Arc::new(Npm), "f");
    for (name, version) in [("a", "1.0.0"), ("a", "2.0.0-rc.1"), ("@s/b", "0.1.0")] {
        feed.upload("x.tgz", &npm_tgz(name, version).build());
    }
    feed
});

fuzz_target!(|text: &str| {
    let Some(parts) = native_requests::Parts::of(text) else { return };
    let request = parts.request();
    let mut feed = FEED.clone();
    let got = feed.resolve(&request);
    assert!((200..500).contains(&got.status), "{}", got.status);
    if got.status == 200 && got.media_type.contains("json") {
        serde_json::from_slice::<serde_json::Value>(&got.body).expect("a document is JSON");
    }
    let Ok(Some(_)) = Npm.route(&request) else { return };
    let fields = parts.fields();
    let staged = StagedCard::new(3, digests(b"abc"), Some("a-1.0.0.tgz".to_owned()));
    for staged in [None, Some(&staged)] {
        match Npm.decide(&*FEED, &request, &fields, staged) {
            Ok(Action::Upload(order)) => {
                let (package, version) = order.expect.expect("a publish says what it is");
                assert!(parts.names(package.name()), "{}", package.name());
                assert!(!version.text().contains('+'));
            }
            Ok(Action::Edit(edit)) => assert!(parts.names(edit.package.name())),
            _ => {}
        }
    }
});
