//! Texts and files around the limits of what a store takes: each change is refused in words or can be
//! read again, and nothing that verification would find is left behind.
#![no_main]

use hayloft_core::sim::SimFs;
use hayloft_core::{
    Actor, Background, Checkpoints, Deprecation, DeprecationChange, FeedDraft, FeedTypes,
    OpenOptions, PromoteRequest, Repair, Selector, StatusChange, Store, UploadRequest, VerifyLevel,
    VersionsQuery,
};
use hayloft_testkit::upack;
use libfuzzer_sys::fuzz_target;

/// Lengths at which something ends, somewhere.
const ENDS: [usize; 12] = [0, 1, 20, 50, 64, 100, 128, 200, 255, 1_000, 4_000, 16_000];

fn text(bytes: &mut &[u8], of: char) -> String {
    let Some((&[end, by, ..], rest)) = bytes.split_at_checked(2) else { return of.to_string() };
    *bytes = rest;
    let length = ENDS[usize::from(end) % ENDS.len()] + usize::from(by % 8);
    // Some of more than one byte, which a limit may count as one or as two.
    let of = if by & 0x80 == 0 { of } else { '\u{e4}' };
    of.to_string().repeat(length.saturating_sub(4))
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes;
    let mut options = OpenOptions::default();
    options.background = Background::Caller;
    options.free_space_floor = 0;
    options.cache = 1 << 20;
    options.log.half = 64 << 10;
    options.log.checkpoints = Checkpoints::Caller;
    options.log.spare = 0;
    let fs = SimFs::new(1);
    let types = || FeedTypes::none().with(hayloft_universal::Universal);
    let store = Store::open_on(fs.shared(), "/store", types(), options.clone()).unwrap();
    let actor = Actor::api();
    for feed in ["main", "next"] {
        store.create_feed(FeedDraft::new(feed, "universal"), &actor).unwrap();
    }
    let mut stored = Vec::new();
    while let Some((&step, rest)) = bytes.split_first() {
        bytes = rest;
        match step % 6 {
            0 | 1 => {
                let (group, name) = (text(&mut bytes, 'g'), text(&mut bytes, 'n'));
                let version = format!("1.0.{}-{}", stored.len(), text(&mut bytes, 'v'));
                let field = format!("\"{}\"", text(&mut bytes, 'd'));
                let package = upack(&group, &name, &version).field("description", &field).build();
                let request = UploadRequest::default();
                if store.upload("main", &request, &mut package.as_slice(), &actor).is_ok() {
                    stored.push((Selector::grouped(&group, &name, &version), package));
                }
            }
            2 => {
                let _ = store.set_setting(&text(&mut bytes, 's'), Some(&text(&mut bytes, 'v')), &actor);
            }
            3 => {
                let _ = store.create_feed(FeedDraft::new(text(&mut bytes, 'f'), "universal"), &actor);
            }
            4 => {
                let comments = text(&mut bytes, 'c');
                if let Some((selector, _)) = stored.last() {
                    let mut request = PromoteRequest::new(selector.clone(), "next");
                    request.comments = Some(comments);
                    let _ = store.promote("main", &request, &actor);
                }
            }
            _ => {
                let actor = Actor::named(text(&mut bytes, 'a'));
                let reason = Some(text(&mut bytes, 'r'));
                if let Some((selector, _)) = stored.last() {
                    let set = DeprecationChange::Set(Deprecation { reason, details: None });
                    let change = StatusChange { deprecation: Some(set), ..StatusChange::default() };
                    let _ = store.set_status("main", selector, &change, &actor);
                }
            }
        }
        if stored.len() > 6 {
            break;
        }
    }
    store.close().unwrap();
    drop(store);
    let store = Store::open_on(fs.shared(), "/store", types(), options).unwrap();
    for (selector, package) in &stored {
        let mut found = Vec::new();
        let mut download = store.download("main", selector).unwrap();
        std::io::copy(&mut download, &mut found).unwrap();
        assert!(found == *package);
    }
    for version in store.versions("main", &VersionsQuery::default()).unwrap() {
        version.unwrap();
    }
    let mut findings = Vec::new();
    let report = &mut |finding: &hayloft_core::Finding| findings.push(finding.to_string());
    store.verify(VerifyLevel::Fast, Repair::No, report).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
});
