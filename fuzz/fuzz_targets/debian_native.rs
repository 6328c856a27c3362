//! Any path asked of a feed: an answer without a panic, and package files only under their digest.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use hayloft_debian::Debian;
use hayloft_feed::native::UploadOrder;
use hayloft_testkit::{MemoryFeed, deb};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static FEED: RefCell<MemoryFeed> = RefCell::new(feed());
}

fn feed() -> MemoryFeed {
    let mut feed = MemoryFeed::new(Arc::new(Debian), "apt");
    for (suite, name) in [("stable", "hay"), ("stable/updates", "straw")] {
        let hints = [("distribution".to_owned(), suite.to_owned())].into();
        let order = UploadOrder { hints, ..UploadOrder::default() };
        feed.store(&order, &deb(name, "1.0", "amd64").build()).unwrap();
        assert_eq!(feed.get(&format!("/dists/{suite}/Release")).status, 200);
    }
    feed
}

fuzz_target!(|path: &str| {
    if path.contains('?') || path.len() > 4096 {
        return;
    }
    FEED.with_borrow_mut(|feed| {
        let got = feed.get(&format!("/{path}"));
        assert!(matches!(got.status, 200 | 404), "{path:?}: {}", got.status);
        if got.body.starts_with(b"!<arch>") {
            assert!(path.contains("pool"), "{path:?}");
        }
    });
});
