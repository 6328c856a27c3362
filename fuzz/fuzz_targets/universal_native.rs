//! Any request to a universal feed: it is answered, documents are JSON, and a delete names the
//! package of its URL.
#![no_main]

use std::sync::{Arc, LazyLock};

use hayloft_feed::native::{Action, Fields, Native, StagedCard};
use hayloft_testkit::{MemoryFeed, digests, upack};
use hayloft_universal::Universal;
use libfuzzer_sys::fuzz_target;

#[path = "shared/native_requests.rs"]
mod native_requests;

static FEED: LazyLock<MemoryFeed> = LazyLock::new(|| {
    let mut feed = MemoryFeed::new(Arc::new(Universal), "f");
    for (group, name, version) in [("", "a", "1.0.0"), ("g/h", "a", "2.0.0-rc.1+b")] {
        let package = upack(group, name, version).file("package/bin/x", b"x".to_vec());
        feed.upload("x.upack", &package.build());
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
    let Ok(Some(_)) = Universal.route(&request) else { return };
    let staged = StagedCard::new(3, digests(b"abc"), None);
    for staged in [None, Some(&staged)] {
        if let Ok(Action::Edit(edit)) =
            Universal.decide(&*FEED, &request, &Fields::default(), staged)
        {
            assert!(parts.names(edit.package.name()), "{}", edit.package.name());
        }
    }
});
