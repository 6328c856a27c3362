//! Any request to a small feed: it is answered, refused in words, or named as an action; what is
//! answered has a tag, and the same one again.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use hayloft_feed::native::{Field, Fields, Native, Request};
use hayloft_rubygems::RubyGems;
use hayloft_testkit::{MemoryFeed, gem};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static FEED: RefCell<MemoryFeed> = RefCell::new(feed());
}

fn feed() -> MemoryFeed {
    let mut feed = MemoryFeed::new(Arc::new(RubyGems), "feed");
    for package in [
        gem("hay-bale", "1.0", "ruby"),
        gem("hay-bale", "1.0", "java"),
        gem("straw", "2.0.rc1", "ruby"),
    ] {
        feed.upload(&package.file_name(), &package.build());
    }
    feed
}

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (method, path, query) = (line(), line(), line());
    let headers: Vec<(String, String)> = [("accept", line()), ("authorization", line())]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let method = ["GET", "POST", "PUT", "DELETE"].iter().find(|m| **m == method).unwrap_or(&"GET");
    let fields = lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| Field { path: vec![name.to_owned()], value: value.to_owned() });
    let fields = Fields(fields.collect());
    let request = Request::get(path, "http://host/feed").query(query).headers(&headers);
    let request = request.method(method);
    FEED.with_borrow_mut(|feed| match RubyGems.route(&request) {
        Ok(Some(_)) => {
            if let Err(refusal) = RubyGems.decide(feed, &request, &fields, None) {
                assert!(RubyGems.refuse(&request, &refusal).status >= 400);
            }
        }
        Err(refusal) => assert!(RubyGems.refuse(&request, &refusal).status >= 400),
        Ok(None) if *method == "GET" => {
            let got = feed.resolve(&request);
            assert!(matches!(got.status, 200 | 301 | 403 | 404 | 406), "{got:?}");
            assert_eq!(feed.resolve(&request), got);
        }
        Ok(None) => {}
    });
});
