//! Any request to a NuGet feed, its body taken apart already: it is answered, documents are what
//! they say, and nothing but the package that its URL names is changed.
#![no_main]

use std::sync::{Arc, LazyLock};

use hayloft_feed::native::{Action, Native, StagedCard};
use hayloft_nuget::NuGet;
use hayloft_testkit::{MemoryFeed, digests, nupkg};
use libfuzzer_sys::fuzz_target;

#[path = "shared/native_requests.rs"]
mod native_requests;

static FEED: LazyLock<MemoryFeed> = LazyLock::new(|| {
    let mut feed = MemoryFeed::new(Arc::new(NuGet), "f");
    for (id, version) in [("A", "1.0.0"), ("A", "2.0.0-rc.1"), ("B.C", "0.1.0+m")] {
        feed.upload("x.nupkg", &nupkg(id, version).build());
    }
    feed
});

fuzz_target!(|text: &str| {
    let Some(parts) = native_requests::Parts::of(text) else { return };
    let request = parts.request();
    let mut feed = FEED.clone();
    let got = feed.resolve(&request);
    assert!((200..502).contains(&got.status), "{}", got.status);
    if got.status == 200 && got.media_type.contains("json") {
        serde_json::from_slice::<serde_json::Value>(&got.body).expect("a document is JSON");
    }
    let Ok(Some(_)) = NuGet.route(&request) else { return };
    let fields = parts.fields();
    let staged = StagedCard::new(3, digests(b"abc"), None);
    for staged in [None, Some(&staged)] {
        if let Ok(Action::Edit(edit)) = NuGet.decide(&*FEED, &request, &fields, staged) {
            assert!(parts.names(edit.package.name()), "{}", edit.package.name());
        }
    }
});
